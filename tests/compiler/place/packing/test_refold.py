"""Layouts cut anew fit, are no dearer than allowed, and hold every block once."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.packing_problem import problem_of
from weft.compiler.place.packing import Problem, SlicedLayout
from weft.compiler.place.packing.nested import nested_layout, rated
from weft.compiler.place.packing.placed import fits
from weft.compiler.place.packing.refold import part_refolded, refold, refolded
from weft.compiler.place.packing.tree import LEFT, PARENT, RIGHT


def _problem(blocks: int) -> tuple[Problem, SlicedLayout]:
    areas = [20 + 7 * (k % 5) for k in range(blocks)]
    side = int(np.ceil((1.1 * sum(areas)) ** 0.5))
    problem = problem_of(areas, [(k, k + 1) for k in range(blocks - 1)], side, side)
    start = nested_layout(problem, np.arange(blocks), 0)
    assert start is not None
    assert fits(problem, start)
    return problem, start


def _is_a_tree(problem: Problem, layout: SlicedLayout) -> bool:
    links, seen, left = layout.links, [], [layout.root]
    while left:
        node = left.pop()
        seen.append(node)
        if node >= problem.count:
            sides = [int(links[LEFT, node]), int(links[RIGHT, node])]
            left += sides
            if any(links[PARENT, side] != node for side in sides):
                return False
    return sorted(seen) == list(range(2 * problem.count - 1)) and links[PARENT, layout.root] < 0


def test_the_whole_and_a_part_cut_anew() -> None:
    problem, start = _problem(9)
    random = np.random.default_rng(0)
    better = 0
    for cut in (
        lambda: refolded(problem, start, 0, random, 1, start.cost),
        lambda: part_refolded(problem, start, random, 1, start.cost),
    ):
        for _ in range(12):
            new = cut()
            if new is not None:
                assert _is_a_tree(problem, new)
                assert new.cost == pytest.approx(rated(problem, new).cost)
                better += fits(problem, new) and new.cost < start.cost
    assert better >= 6


@pytest.mark.parametrize("blocks", [8, 44])
def test_a_walk_shortens_wires_and_repeats(blocks: int) -> None:
    problem, start = _problem(blocks)
    ends = [refold(problem, start, np.random.default_rng(5), 12, 2.0, 0.3) for _ in range(2)]
    assert ends[0].cost == ends[1].cost < start.cost
    assert fits(problem, ends[0])
    assert _is_a_tree(problem, ends[0])


def test_no_layout_where_the_order_does_not_fit() -> None:
    problem = problem_of([30, 30, 30], [(0, 1)], 9, 9)
    start = rated(
        problem,
        SlicedLayout(
            np.array([[-1, -1, -1, 0, 3], [-1, -1, -1, 1, 2], [3, 3, 4, 4, -1], [0, 0, 0, 0, 0]]),
            4,
            0,
        ),
    )
    assert refolded(problem, start, 0, np.random.default_rng(0), 0) is None
