"""A short walk: shorter wires, inside the wafer and apart, the same each time."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from helpers.packing_problem import problem_of
from weft.compiler.place.packing import shorten
from weft.compiler.place.packing.nested import nested_layout
from weft.compiler.place.packing.placed import blocks_of
from weft.compiler.place.packing.settle import wire_of
from weft.compiler.place.packing.shorten import MOST_BLOCKS


@pytest.mark.parametrize(("blocks", "slack"), [(9, 1.3), (9, 1.05), (40, 1.05)])
def test_wires_get_shorter(blocks: int, slack: float) -> None:
    areas = [20 + 7 * (k % 5) for k in range(blocks)]
    side = int(np.ceil((slack * sum(areas)) ** 0.5))
    problem = problem_of(areas, [(k, k + 1) for k in range(blocks - 1)], side, side)
    start = nested_layout(problem, np.arange(blocks), 0)
    assert start is not None
    found = shorten(problem, start)
    assert found is not None
    assert found == shorten(problem, start)
    assert wire_of(problem, found) < wire_of(problem, blocks_of(problem, start))
    for area, block in zip(areas, found, strict=True):
        assert block.width * block.height >= area
        assert 0 <= block.x <= side - block.width
        assert 0 <= block.y <= side - block.height
    for one, other in combinations(found, 2):
        apart_in_x = one.x + one.width <= other.x or other.x + other.width <= one.x
        assert apart_in_x or one.y + one.height <= other.y or other.y + other.height <= one.y


@pytest.mark.parametrize("blocks", [1, MOST_BLOCKS + 1])
def test_one_block_and_very_many_stay(blocks: int) -> None:
    edges = [(k, k + 1) for k in range(blocks - 1)]
    problem = problem_of([4] * blocks, edges, 40, 40)
    start = nested_layout(problem, np.arange(blocks), 0)
    assert start is not None
    assert shorten(problem, start) is None
