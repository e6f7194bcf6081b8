"""Packings: nothing overlaps or sticks out, shapes are from the curves, and costs are right."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from helpers.packing_problem import problem_of
from hypothesis import given, settings
from hypothesis import strategies as st
from weft.compiler.place.packing import Block, Budget, Problem, SlicedLayout, search
from weft.compiler.place.packing.nested import nested_layout
from weft.compiler.place.packing.rows import row_layouts
from weft.compiler.place.packing.settle import wire_of


def _starts(problem: Problem) -> list[SlicedLayout]:
    order = np.arange(problem.count)
    nested = nested_layout(problem, order, 0)
    return row_layouts(problem, order, 0) + ([] if nested is None else [nested])


def _check(problem: Problem, blocks: tuple[Block, ...], areas: list[int]) -> None:
    for block, area in zip(blocks, areas, strict=True):
        assert block.width * block.height >= area
        assert 0 <= block.x <= problem.columns - block.width
        assert 0 <= block.y <= problem.rows - block.height
    for a, b in itertools.combinations(blocks, 2):
        apart_x = a.x + a.width <= b.x or b.x + b.width <= a.x
        assert apart_x or a.y + a.height <= b.y or b.y + b.height <= a.y


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.integers(1, 120), min_size=1, max_size=9),
    st.integers(8, 40),
    st.integers(8, 40),
    st.randoms(use_true_random=False),
)
def test_nothing_overlaps(areas: list[int], columns: int, rows: int, random) -> None:
    pairs = list(itertools.combinations(range(len(areas)), 2))
    edges = random.sample(pairs, min(len(pairs), 2 * len(areas)))
    problem = problem_of(areas, edges, columns, rows)
    starts = _starts(problem)
    if not starts:
        return
    found = search(problem, starts, Budget(rounds=1, steps=300))
    if found is None:
        assert sum(areas) > 0.5 * columns * rows
        return
    _check(problem, found.blocks, areas)
    assert found.cost == pytest.approx(1000 + wire_of(problem, found.blocks))


def test_equal_seeds_and_rounds_give_equal_layouts() -> None:
    areas = [30, 25, 60, 44, 12, 80]
    problem = problem_of(areas, [(k, k + 1) for k in range(5)], 20, 15)
    found = [search(problem, _starts(problem), Budget(rounds=2, steps=2000), 7) for _ in range(2)]
    assert found[0] is not None
    assert found[1] is not None
    assert found[0].blocks == found[1].blocks


def test_a_chain_of_strips_reaches_its_least_wire() -> None:
    problem = problem_of([40] * 5, [(k, k + 1) for k in range(4)], 20, 10)
    found = search(problem, _starts(problem), Budget(rounds=2, steps=2000))
    assert found is not None
    assert found.cost == 1000 + 8  # five strips of 20 x 2, two tiles from each to the next
