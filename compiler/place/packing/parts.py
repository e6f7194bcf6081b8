"""Parts: runs of consecutive blocks in rectangles, as cuts of the wafer reach them.

From the whole wafer down, a part is cut in two wherever the exact least sizes of the shorter runs
(see `envelopes`) leave room for both; what room is left goes to one side or to the other. Where
parts are scarce all are found. Where they are many, each run keeps a random share of them, those of
a given layout before all others.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit, types
from numba.typed import Dict

from .curves import NONE, add, invert
from .tree import STACKED

_CUTS_A_PART = 8
_SHORT_RUNS_MORE = 4
"""Runs of two and three blocks keep this many times as many parts."""
_STRIDE = 8192


class Parts(NamedTuple):
    """All parts, the whole first, and the ways to cut each."""

    first: np.ndarray  # a part's first block
    last: np.ndarray
    width: np.ndarray
    height: np.ndarray
    start: np.ndarray  # the part's cuts are start[part] to end[part] - 1
    end: np.ndarray
    cuts: np.ndarray  # lower or left part, other part, last block of the lower, way, size of it
    head: np.ndarray  # a part of every length; -1 for none
    after: np.ndarray  # the next part of the same length; -1 for none


class _Found(NamedTuple):
    """Parts so far: their numbers by run and size, and lists by length."""

    numbers: Dict
    rect: np.ndarray  # first and last block, width, height
    head: np.ndarray
    after: np.ndarray
    kept: np.ndarray  # how many of each run
    total: np.ndarray


@njit(cache=True, nogil=True)
def envelopes(heights, widths, row):
    """Least heights by width and least widths by height of the runs that have a row.

    `row[i, j]` is the row of the run of blocks i to j, or -1; `heights[i]`, `widths[i]` are block
    i's. Over all cuts of a run in two runs, stacked and abreast.
    """
    blocks, columns, rows = len(heights), heights.shape[1] - 1, widths.shape[1] - 1
    low = np.full((row.max() + 1, columns + 1), NONE, np.int16)
    thin = np.full((row.max() + 1, rows + 1), NONE, np.int16)
    by_width, by_height = np.zeros(columns + 1, np.int16), np.zeros(rows + 1, np.int16)
    for i in range(blocks):
        low[row[i, i]], thin[row[i, i]] = heights[i], widths[i]
    for length in range(2, blocks + 1):
        for i in range(blocks - length + 1):
            j = i + length - 1
            own = row[i, j]
            if own < 0:
                continue
            for k in range(i, j):
                a, b = row[i, k], row[k + 1, j]
                if a < 0 or b < 0:
                    continue
                add(low[a], low[b], rows, by_width)
                for x in range(columns + 1):
                    low[own, x] = min(low[own, x], by_width[x])
                add(thin[a], thin[b], columns, by_height)
                for y in range(rows + 1):
                    thin[own, y] = min(thin[own, y], by_height[y])
            invert(low[own], by_height)
            for y in range(rows + 1):
                thin[own, y] = min(thin[own, y], by_height[y])
            invert(thin[own], by_width)
            for x in range(columns + 1):
                low[own, x] = min(low[own, x], by_width[x])
    return low, thin


@njit(cache=True, nogil=True)
def _part(found, most, i, j, wide, high):
    """The number of a part, a new one if there is room for it; -1 if not."""
    key = ((np.int64(i) * _STRIDE + j) * _STRIDE + wide) * _STRIDE + high
    if key in found.numbers:
        return found.numbers[key]
    number = found.total[0]
    if number >= len(found.rect):
        return -1
    if found.kept[i, j] >= most * (_SHORT_RUNS_MORE if j - i < 3 else 1):
        return -1
    found.numbers[key] = number
    found.total[0] += 1
    found.kept[i, j] += 1
    rect = found.rect[number]
    rect[0], rect[1], rect[2], rect[3] = i, j, wide, high
    found.after[number] = found.head[j - i + 1]
    found.head[j - i + 1] = number
    return number


@njit(cache=True, nogil=True)
def _sides(found, most, part, k, way, size):
    """Both parts of a cut, or -1 if there is no room for them."""
    i, j, wide, high = found.rect[part]
    if way == STACKED:
        lower = _part(found, most, i, k, wide, size)
        upper = _part(found, most, k + 1, j, wide, high - size) if lower >= 0 else -1
    else:
        lower = _part(found, most, i, k, size, high)
        upper = _part(found, most, k + 1, j, wide - size, high) if lower >= 0 else -1
    return lower, upper


@njit(cache=True, nogil=True)
def _range(low, thin, row, rect, k, way):
    """Least and most size of the lower part of a cut; least above most where nothing fits."""
    i, j, wide, high = rect
    a, b = row[i, k], row[k + 1, j]
    if way == STACKED:
        return np.int64(low[a, wide]), np.int64(high) - low[b, wide]
    return np.int64(thin[a, high]), np.int64(wide) - thin[b, high]


@njit(cache=True, nogil=True)
def _put(into, number, k, way, size):
    into[number, 0], into[number, 1], into[number, 2] = k, way, size
    return number + 1


@njit(cache=True, nogil=True)
def _ways(low, thin, row, rect, given, into):
    """Cuts of a part in random order, the given one first: k, way, size; how many."""
    found = 0
    for k in range(rect[0], rect[1]):
        for way in range(2):
            least, most = _range(low, thin, row, rect, k, way)
            if least <= most:
                found = _put(into, found, k, way, least)
            if least < most:
                found = _put(into, found, k, way, most)
    for q in range(found - 1, 0, -1):
        other = np.random.randint(q + 1)
        for c in range(3):
            into[q, c], into[other, c] = into[other, c], into[q, c]
    k, way, size = given[rect[0], rect[1]]
    if k >= 0:
        least, most = _range(low, thin, row, rect, k, way)
        if least <= size <= most:
            found = _put(into, found, into[0, 0], into[0, 1], into[0, 2])
            _put(into, 0, k, way, size)
    return found


@njit(cache=True, nogil=True)
def parts_of(low, thin, row, columns, rows, given, most, room, seed):
    """The parts of a rectangle; about `most` of each run, `room` in all.

    `given[i, j]` is a cut of the run i to j to be looked at first: its k, way and size, or k = -1.
    """
    np.random.seed(seed)
    blocks = row.shape[0]
    found = _Found(
        Dict.empty(types.int64, types.int64), np.empty((room, 4), np.int32),
        np.full(blocks + 1, -1, np.int64), np.empty(room, np.int64),
        np.zeros((blocks, blocks), np.int64), np.zeros(1, np.int64),
    )  # fmt: skip
    start, end, made = np.zeros(room, np.int64), np.zeros(room, np.int64), 0
    cuts = np.empty((room * _CUTS_A_PART, 5), np.int32)
    tried = np.empty((4 * blocks + 1, 3), np.int64)
    _part(found, most, 0, blocks - 1, columns, rows)
    part = 0
    while part < found.total[0]:  # the given layout's parts come first
        k, way, size = given[found.rect[part, 0], found.rect[part, 1]]
        if k >= 0:
            least, top = _range(low, thin, row, found.rect[part], k, way)
            if least <= size <= top:
                _sides(found, most, part, k, way, size)
        part += 1
    for length in range(blocks, 1, -1):
        part = found.head[length]
        while part >= 0:
            start[part] = made
            for q in range(_ways(low, thin, row, found.rect[part], given, tried)):
                if made >= len(cuts):
                    break
                k, way, size = tried[q]
                share = most if made > start[part] else room  # every part is cut somehow
                a, b = _sides(found, share, part, k, way, size)
                if a >= 0 and b >= 0:
                    cuts[made, 0], cuts[made, 1], cuts[made, 2] = a, b, k
                    cuts[made, 3], cuts[made, 4] = way, size
                    made += 1
            end[part] = made
            part = found.after[part]
    n, rect = found.total[0], found.rect
    return Parts(
        rect[:n, 0], rect[:n, 1], rect[:n, 2], rect[:n, 3], start[:n], end[:n], cuts[:made],
        found.head, found.after[:n],
    )  # fmt: skip
