"""Parts: exact least sizes of runs, and cuts that fill the rectangle they cut."""

from __future__ import annotations

import itertools

import numpy as np
from helpers.packing_problem import problem_of
from weft.compiler.place.packing.curves import NONE
from weft.compiler.place.packing.parts import envelopes, parts_of
from weft.compiler.place.packing.tree import STACKED

_AREAS = [12, 7, 20, 9]


def _runs():
    problem = problem_of(_AREAS, [], 14, 12)
    number = problem.levels.number[:, 0]
    row = np.full((4, 4), -1, np.int64)
    row[np.triu_indices(4)] = np.arange(10)
    heights, widths = problem.levels.heights[number], problem.levels.widths[number]
    return problem, row, heights, widths


def _least_height(areas: list[int], width: int) -> int:
    """Over all slicing layouts of blocks in this order, found one by one."""
    if len(areas) == 1:
        return -(-areas[0] // width)
    best = NONE
    for k in range(1, len(areas)):
        best = min(best, _least_height(areas[:k], width) + _least_height(areas[k:], width))
        for left in range(1, width):
            sides = _least_height(areas[:k], left), _least_height(areas[k:], width - left)
            best = min(best, max(sides))
    return best


def test_least_sizes_of_runs_are_exact() -> None:
    _, row, heights, widths = _runs()
    low, thin = envelopes(heights, widths, row)
    for i, j in itertools.combinations_with_replacement(range(4), 2):
        for width in range(1, 15):
            least = _least_height(_AREAS[i : j + 1], width)
            assert low[row[i, j], width] == (least if least <= widths.shape[1] - 1 else NONE)
        for height in range(1, 13):
            fits = [w for w in range(1, 15) if _least_height(_AREAS[i : j + 1], w) <= height]
            assert thin[row[i, j], height] == (fits[0] if fits else NONE)


def test_both_sides_of_a_cut_fill_the_part() -> None:
    _, row, heights, widths = _runs()
    low, thin = envelopes(heights, widths, row)
    given = np.full((4, 4, 3), -1, np.int64)
    parts = parts_of(low, thin, row, 8, 8, given, 1000, 5000, 0)
    sizes = list(zip(parts.first, parts.last, parts.width, parts.height, strict=True))
    assert sizes[0] == (0, 3, 8, 8)
    assert len(set(sizes)) == len(sizes)
    for part, (i, j, width, height) in enumerate(sizes):
        assert low[row[i, j], width] <= height
        for a, b, k, way, size in parts.cuts[parts.start[part] : parts.end[part]]:
            one = (width, size) if way == STACKED else (size, height)
            two = (width, height - size) if way == STACKED else (width - size, height)
            assert sizes[a] == (i, k, *one)
            assert sizes[b] == (k + 1, j, *two)
        assert i == j or parts.end[part] > parts.start[part]


def test_a_given_layout_is_kept_where_there_is_little_room() -> None:
    _, row, heights, widths = _runs()
    low, thin = envelopes(heights, widths, row)
    given = np.full((4, 4, 3), -1, np.int64)
    given[0, 3], given[0, 1], given[2, 3] = (1, STACKED, 3), (0, 1 - STACKED, 5), (2, STACKED, 3)
    parts = parts_of(low, thin, row, 8, 8, given, 1, 7, 0)
    sizes = set(zip(parts.first, parts.last, parts.width, parts.height, strict=True))
    assert sizes == {
        (0, 3, 8, 8), (0, 1, 8, 3), (2, 3, 8, 5), (0, 0, 5, 3), (1, 1, 3, 3), (2, 2, 8, 3),
        (3, 3, 8, 2),
    }  # fmt: skip
