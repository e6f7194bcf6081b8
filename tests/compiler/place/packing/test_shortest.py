"""The shortest wires of all parts, against every layout laid one by one."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from helpers.packing_problem import problem_of
from weft.compiler.place.packing.parts import envelopes, parts_of
from weft.compiler.place.packing.shortest import shortest
from weft.compiler.place.packing.tree import STACKED

_AREAS, _EDGES = [12, 7, 20], [(0, 1), (1, 2), (0, 2)]


def _parts(columns: int, rows: int):
    problem = problem_of(_AREAS, _EDGES, columns, rows)
    number = problem.levels.number[:, 0]
    row = np.full((3, 3), -1, np.int64)
    row[np.triu_indices(3)] = np.arange(6)
    low, thin = envelopes(problem.levels.heights[number], problem.levels.widths[number], row)
    given = np.full((3, 3, 3), -1, np.int64)
    return parts_of(low, thin, row, columns, rows, given, 1000, 5000, 0)


def _layouts(parts, part: int):
    """Centres of the blocks of every layout of a part, from its lower left corner."""
    i, j = parts.first[part], parts.last[part]
    width, height = int(parts.width[part]), int(parts.height[part])
    if i == j:
        yield {int(i): (width / 2, height / 2)}
        return
    for a, b, _, way, size in parts.cuts[parts.start[part] : parts.end[part]]:
        for one, two in itertools.product(_layouts(parts, int(a)), _layouts(parts, int(b))):
            for lower, x, y in itertools.product((True, False), repeat=3):
                shift = (0, int(size)) if way == STACKED else (int(size), 0)
                moved = {k: (p + shift[0], q + shift[1]) for k, (p, q) in two.items()}
                upper = {
                    k: (2 * shift[0] + (width - shift[0]) - p if x and way != STACKED else
                        width - p if x else p,
                        2 * shift[1] + (height - shift[1]) - q if y and way == STACKED else
                        height - q if y else q)
                    for k, (p, q) in moved.items()
                }  # fmt: skip
                side = {
                    k: (p if not lower or way == STACKED else int(size) - p,
                        q if not lower or way != STACKED else int(size) - q)
                    for k, (p, q) in one.items()
                }  # fmt: skip
                yield side | upper


def _wire(centres, edges, weights) -> float:
    return sum(
        weight * (abs(centres[a][0] - centres[b][0]) + abs(centres[a][1] - centres[b][1]))
        for (a, b), weight in zip(edges, weights, strict=True)
    )


@pytest.mark.parametrize(("columns", "rows"), [(7, 7), (13, 4), (6, 8)])
def test_the_whole_has_the_shortest_wires(columns: int, rows: int) -> None:
    parts, weights = _parts(columns, rows), np.array([1.0, 2.0, 0.5])
    none = np.zeros((0, 3), np.int64), np.zeros(0)
    found, cost, _ = shortest(
        parts, np.array(_EDGES), weights, np.zeros(3, np.int64), 81, np.inf, *none
    )
    best = min(_wire(one, _EDGES, weights) for one in _layouts(parts, 0))
    assert found[0] > 0
    assert cost[0, 0] == pytest.approx(best)


def test_wires_to_pins_count_and_the_whole_is_mirrored_towards_them() -> None:
    parts, weights = _parts(7, 7), np.ones(3)
    pins, pulls = np.array([[0, 40, 3], [2, -6, 5]], np.int64), np.array([1.0, 3.0])
    _, cost, made = shortest(
        parts, np.array(_EDGES), weights, np.zeros(3, np.int64), 81, np.inf, pins, pulls
    )
    best = np.inf
    for one in _layouts(parts, 0):
        for x, y in itertools.product((False, True), repeat=2):
            at = {k: (7 - p if x else p, 7 - q if y else q) for k, (p, q) in one.items()}
            own = _wire(at, _EDGES, weights)
            for (block, left, low), pull in zip(pins, pulls, strict=True):
                own += pull * (abs(at[block][0] - left / 2) + abs(at[block][1] - low / 2))
            best = min(best, own)
    assert cost[0, 0] == pytest.approx(best)
    assert made[0, 0, 3] < 32


def test_nothing_is_found_below_a_limit_that_is_too_low() -> None:
    none = np.zeros((0, 3), np.int64), np.zeros(0)
    found, _, _ = shortest(
        _parts(7, 7), np.array(_EDGES), np.ones(3), np.ones(3, np.int64), 8, 3.0, *none
    )
    assert found[0] == 0
