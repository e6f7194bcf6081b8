"""Layouts in sections: the wires they claim are those of a layout by hand, and they fit."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise, product

import numpy as np
import pytest
from helpers.packing_problem import problem_of
from hypothesis import given, settings
from hypothesis import strategies as st
from weft.compiler.place.packing import Problem
from weft.compiler.place.packing.placed import blocks_of, fits
from weft.compiler.place.packing.section_search import best_sections
from weft.compiler.place.packing.sections import blocks_in, section_layouts

Centres = list[tuple[float, float]]


def _chain(areas: list[int], columns: int, rows: int) -> Problem:
    return problem_of(areas, [*pairwise(range(len(areas)))], columns, rows)


def _row(areas: list[int], length: int, depth: int) -> Iterator[Centres]:
    """Blocks side by side, each `depth` high: from the left and from the right."""
    sizes = [-(-area // depth) for area in areas]
    if sum(sizes) <= length:
        middles = [sum(sizes[:k]) + size / 2 for k, size in enumerate(sizes)]
        yield [(middle, depth / 2) for middle in middles]
        yield [(length - middle, depth / 2) for middle in middles]


def _column(areas: list[int], columns: int, rows: int) -> Iterator[Centres]:
    for laid in _row(areas, rows, columns):
        yield [(y, x) for x, y in laid]


def _by_hand(areas: list[int], columns: int, rows: int) -> Iterator[float]:
    """Wires of a chain in one section, and with its first or last blocks along one side.

    Of the four sides the lower and the left one stand for all, but for mirror images.
    """
    for laid in (*_row(areas, columns, rows), *_column(areas, columns, rows)):
        yield _wires(laid)
    for taken, last, upright in product(range(1, len(areas)), (False, True), (False, True)):
        wide, high = (rows, columns) if upright else (columns, rows)
        split = len(areas) - taken if last else taken
        part, rest = (areas[split:], areas[:split]) if last else (areas[:split], areas[split:])
        for depth in range(1, high):
            sections = (*_row(part, wide, depth), *_column(part, wide, depth))
            rests = (*_row(rest, wide, high - depth), *_column(rest, wide, high - depth))
            for one, other in product(sections, rests):
                above = [(x, y + depth) for x, y in other]
                yield _wires([*above, *one] if last else [*one, *above])


def _wires(at: Centres) -> float:
    return sum(abs(a - c) + abs(b - d) for (a, b), (c, d) in pairwise(at))


def _found(problem: Problem, sections: int) -> float:
    blocks = blocks_in(problem, np.arange(problem.count), 0)
    return best_sections(blocks, problem.columns, problem.rows, np.inf, 1000, sections)[0]


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(4, 40), min_size=2, max_size=6), st.integers(8, 18), st.integers(8, 18))
def test_wires_with_one_section_are_those_by_hand(
    areas: list[int], columns: int, rows: int
) -> None:
    by_hand = list(_by_hand(areas, columns, rows))
    found = _found(_chain(areas, columns, rows), 1)
    assert np.isfinite(found) == bool(by_hand)
    if by_hand:
        assert min(abs(found - wires) for wires in by_hand) < 1e-9
        assert found <= 1.5 * min(by_hand)  # a beam is led by guesses


@pytest.mark.parametrize(
    ("areas", "columns", "rows"),
    [([18, 18, *[30] * 6], 18, 12), ([24] * 4 + [9] * 3, 11, 12), ([40, 40, 12, 12, 12], 12, 12)],
)
def test_the_best_by_hand_is_found(areas: list[int], columns: int, rows: int) -> None:
    assert _found(_chain(areas, columns, rows), 1) == min(_by_hand(areas, columns, rows))


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(1, 60), min_size=1, max_size=9), st.integers(6, 24), st.integers(6, 24))
def test_layouts_fit_and_cost_what_was_claimed(areas: list[int], columns: int, rows: int) -> None:
    problem = _chain(areas, columns, rows)
    for layout in section_layouts(problem, [np.arange(len(areas))]):
        assert fits(problem, layout)
        blocks = blocks_of(problem, layout)
        assert all(b.width * b.height >= area for b, area in zip(blocks, areas, strict=True))
        claimed = _found(problem, 4)
        assert layout.cost - 1000 <= claimed + columns + rows  # spare room lies around a row
