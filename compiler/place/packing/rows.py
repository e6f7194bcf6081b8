"""Layouts to start from: blocks in an order that their edges follow, in rows, there and back.

3 4 6      Blocks that are poor at a row's height share a column: at every height the widths of
3 5 6      a few consecutive blocks together are known exactly (see `nested`). One to three rows
2 1 0      are tried in all ways, more in the way of least total height. Rows may be higher than
           the wafer: annealing sees to that.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numba import njit

from .anneal import OVERFLOW_WEIGHT
from .nested import Runs, rated
from .problem import ROOM, Problem, SlicedLayout
from .tree import ABREAST, STACKED

_MOST_ROWS = 8
_TOGETHER = 4
"""Most blocks in one column of a row."""
_AHEAD = 2
RELUCTANCE = (0.0, 0.004, 0.02, 1.0)
"""How much width, in shares of the wafer's, a further block in a column has to save."""


@njit(cache=True, nogil=True)
def _columns(thin, start, end, height, extra, chosen, width, last):
    """Blocks `start` to `end` - 1 in columns of least width; the width together.

    `chosen`, `width` and `last` are room for what is least, its width, and where it began.
    """
    chosen[start], width[start] = 0.0, 0
    for stop in range(start + 1, end + 1):
        chosen[stop] = 1e18
        for length in range(1, min(thin.shape[0], stop - start) + 1):
            first = stop - length
            own = thin[length - 1, first, height]
            total = chosen[first] + own + extra * (length - 1)
            if total < chosen[stop]:
                chosen[stop], width[stop], last[stop] = total, width[first] + own, first
    return width[end]


@njit(cache=True, nogil=True)
def _row_heights(thin, columns, extra):
    """`heights[i, j]`: least height at which blocks i to j - 1 in a row are narrow enough."""
    blocks, most = thin.shape[1], thin.shape[2]
    heights = np.full((blocks, blocks + 1), most, np.int64)
    chosen, width = np.zeros(blocks + 1), np.zeros(blocks + 1, np.int64)
    last = np.zeros(blocks + 1, np.int64)
    for start in range(blocks):
        height, stop = 1, start + 1
        while height < most and stop <= blocks:
            ahead = min(blocks, stop + _AHEAD)
            _columns(thin, start, ahead, height, extra, chosen, width, last)
            while stop <= ahead and width[stop] <= columns:
                heights[start, stop] = height
                stop += 1
            if stop <= ahead:
                height += 1
    return heights


@njit(cache=True, nogil=True)
def _wire_of_rows(thin, heights, ends, edges, weights, columns, extra, centre, chosen, width, last):
    """Weighted distances of a layout in rows, every block in the middle of its column."""
    blocks = thin.shape[1]
    start, lower, back = 0, 0, False
    for end in ends:
        height = heights[start, end]
        total = _columns(thin, start, end, height, extra, chosen, width, last)
        x = 0.5 * (columns - total)
        stop = end
        while stop > start:
            middle = x + 0.5 * (width[stop] + width[last[stop]])
            for k in range(last[stop], stop):
                centre[0, k] = columns - middle if back else middle
                centre[1, k] = lower + (k - last[stop] + 0.5) * height / (stop - last[stop])
            stop = last[stop]
        lower += height
        start, back = end, not back
        if end == blocks:
            break
    total = 0.0
    for e in range(edges.shape[0]):
        i, j = edges[e, 0], edges[e, 1]
        total += weights[e] * (abs(centre[0, i] - centre[0, j]) + abs(centre[1, i] - centre[1, j]))
    return total


@njit(cache=True, nogil=True)
def _up_to_three(thin, heights, columns, rows, most, price, edges, weights, extra):
    """For one, two and three rows: the least cost and the ends of the rows."""
    blocks = thin.shape[1]
    chosen, width = np.zeros(blocks + 1), np.zeros(blocks + 1, np.int64)
    last, centre = np.zeros(blocks + 1, np.int64), np.zeros((2, blocks))
    ends, costs, best = np.zeros(3, np.int64), np.full(3, np.inf), np.zeros((3, 3), np.int64)
    for first in range(1, blocks + 1):
        for second in range(first + 1, blocks + 1):
            if first == blocks:
                break
            total = heights[0, first] + heights[first, second]
            if total > most:
                break
            if second < blocks:
                total += heights[second, blocks]
            if total > most:
                continue
            count = 1 if second == blocks else 2
            ends[0], ends[1], ends[2] = first, second, blocks
            cost = price * (1 + OVERFLOW_WEIGHT * max(0, total - rows) / rows)
            if cost >= costs[count]:
                continue
            cost += _wire_of_rows(
                thin, heights, ends, edges, weights, columns, extra, centre, chosen, width, last
            )
            if cost < costs[count]:
                costs[count] = cost
                best[count] = ends
    if heights[0, blocks] <= most:
        costs[0], best[0, 0] = 0.0, blocks
    return costs, best


@njit(cache=True, nogil=True)
def _lowest(heights, most_rows):
    """For every number of rows: the ends of the rows that are lowest together."""
    blocks = heights.shape[0]
    least = np.full((most_rows + 1, blocks + 1), 1 << 40, np.int64)
    last = np.zeros((most_rows + 1, blocks + 1), np.int64)
    least[0, 0] = 0
    for count in range(1, most_rows + 1):
        for end in range(1, blocks + 1):
            for start in range(end):
                total = least[count - 1, start] + heights[start, end]
                if total < least[count, end]:
                    least[count, end] = total
                    last[count, end] = start
    return least[:, blocks], last


def row_layouts(
    problem: Problem, order: np.ndarray, level: int, reluctance: Sequence[float] = RELUCTANCE
) -> list[SlicedLayout]:
    """The cheapest layout of each number of rows, for blocks in this order."""
    runs = Runs(problem, order, level, _TOGETHER)
    thin = np.stack([runs.widths_of(length) for length in range(1, runs.longest + 1)])
    place = np.argsort(order)
    edges, most = place[problem.edges], int(problem.rows * ROOM)
    price = float(problem.levels.costs[level])
    found = []
    for share in reluctance:
        extra = share * problem.columns
        heights = _row_heights(thin, problem.columns, extra)
        costs, ends = _up_to_three(
            thin, heights, problem.columns, problem.rows, most, price, edges, problem.weights, extra
        )
        splits = [sorted({0, *map(int, ends[k])}) for k in range(3) if np.isfinite(costs[k])]
        least, last = _lowest(heights, min(_MOST_ROWS, len(order)))
        more = (count for count in range(4, len(least)) if least[count] <= most)
        splits += [_ends(last, count, len(order)) for count in more]
        found += [_layout(problem, runs, thin, heights, one, extra) for one in splits]
    return found


def _ends(last: np.ndarray, count: int, blocks: int) -> list[int]:
    ends = [blocks]
    while count > 0:
        ends.append(int(last[count, ends[-1]]))
        count -= 1
    return sorted(set(ends))


def _layout(
    problem: Problem,
    runs: Runs,
    thin: np.ndarray,
    heights: np.ndarray,
    ends: Sequence[int],
    extra: float,
) -> SlicedLayout:
    maker, blocks = runs.maker(), thin.shape[1]
    chosen, width = np.zeros(blocks + 1), np.zeros(blocks + 1, np.int64)
    last, rows = np.zeros(blocks + 1, np.int64), []
    for number, (start, end) in enumerate(pairwise(ends)):
        height = int(heights[start, end])
        _columns(thin, start, end, height, extra, chosen, width, last)
        row, stop = [], end
        while stop > start:
            first = int(last[stop])
            own = int(thin[stop - first - 1, first, height])
            row.append(runs.cut(maker, first, stop - 1, own, height))
            stop = first
        rows.append(maker.join(row if number % 2 else row[::-1], ABREAST))
    return rated(problem, SlicedLayout(maker.links, maker.join(rows, STACKED), runs.level))
