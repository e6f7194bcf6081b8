"""The beam of layouts in sections (see `sections`): what a section takes and what wires it makes.

Blocks are named by their place in the order. A room has a left, lower, right and upper edge.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

_CHILDREN = 4096
"""Most ways to go on from a partial layout."""
_CROWDING = 2.0
"""A rest that is too long for its room by a share costs this share more."""
BOTTOM, LEFT_SIDE, TOP, RIGHT_SIDE = 0, 1, 2, 3
ACROSS, ALONG = 0, 1


class Blocks(NamedTuple):
    """Blocks in their order: sizes, sums of sizes, and edges by block."""

    thin: np.ndarray  # (blocks, rows + 1): least width by height
    low: np.ndarray  # (blocks, columns + 1): least height by width
    thin_sum: np.ndarray  # (rows + 1, blocks + 1): widths of all blocks before
    low_sum: np.ndarray
    thin_wire: np.ndarray  # the same, each width as often as wires of a row pass it
    low_wire: np.ndarray
    area_sum: np.ndarray  # (blocks + 1,): least areas of all blocks before
    near: np.ndarray  # (blocks, most): the other ends of a block's edges
    pull: np.ndarray  # their weights; 0 where there is no further edge


class Partial(NamedTuple):
    """Layouts with a rest to lay: its blocks and room, wires so far, places, and sections."""

    run: np.ndarray  # first block, end
    room: np.ndarray  # left, lower, right, upper edge
    cost: np.ndarray
    x: np.ndarray
    y: np.ndarray
    made: np.ndarray  # side, whether of the last blocks, across or along, blocks, reversed, depth


@njit(cache=True, nogil=True)
def _taken(room, side, depth):
    """The part of a room along a side, and the rest."""
    part, rest = room.copy(), room.copy()
    axis = 1 if side in (BOTTOM, TOP) else 0
    if side in (BOTTOM, LEFT_SIDE):
        part[2 + axis] = rest[axis] = room[axis] + depth
    else:
        part[axis] = rest[2 + axis] = room[2 + axis] - depth
    return part, rest


@njit(cache=True, nogil=True)
def _lay(blocks, first, end, room, in_x, reverse, x, y):
    """Centres of blocks `first` to `end` - 1 in a row in x, or in y, from one end of a room."""
    at = 0.0
    for b in range(first, end):
        size = blocks.thin[b, room[3] - room[1]] if in_x else blocks.low[b, room[2] - room[0]]
        middle = at + 0.5 * size
        at += size
        x[b] = y[b] = 0.0
        if in_x:
            x[b] = room[2] - middle if reverse else room[0] + middle
            y[b] = 0.5 * (room[1] + room[3])
        else:
            x[b] = 0.5 * (room[0] + room[2])
            y[b] = room[3] - middle if reverse else room[1] + middle


@njit(cache=True, nogil=True)
def _wires(blocks, first, end, start, stop, x, y):
    """Wires of blocks `first` to `end` - 1, but to others of `start` to `stop` - 1."""
    total = 0.0
    for b in range(first, end):
        for e in range(blocks.near.shape[1]):
            other, pull = blocks.near[b, e], blocks.pull[b, e]
            if pull == 0:
                break
            if first <= other < end:
                pull *= 0.5
            elif start <= other < stop:
                continue
            total += pull * (abs(x[b] - x[other]) + abs(y[b] - y[other]))
    return total


@njit(cache=True, nogil=True)
def _depth(blocks, kind, side, first, end, room, least):
    """How deep a section is, at least `least`; as deep as the room or deeper if there is none."""
    wide, high = room[2] - room[0], room[3] - room[1]
    level = side in (BOTTOM, TOP)
    if kind == ACROSS:
        sums, size = (blocks.low_sum, wide) if level else (blocks.thin_sum, high)
        return sums[size, end] - sums[size, first]
    sums, length, depth = (blocks.thin_sum, wide, high) if level else (blocks.low_sum, high, wide)
    while least < depth and sums[least, end] - sums[least, first] > length:
        least += 1
    return least


@njit(cache=True, nogil=True)
def _rest_wires(blocks, first, end, room):
    """About the wires of blocks in one row in a room, more where it is too long."""
    wide, high = room[2] - room[0], room[3] - room[1]
    row = blocks.thin_sum[high, end] - blocks.thin_sum[high, first]
    one = blocks.thin_wire[high, end] - blocks.thin_wire[high, first]
    one *= 1 + _CROWDING * max(0.0, row / wide - 1)
    column = blocks.low_sum[wide, end] - blocks.low_sum[wide, first]
    two = blocks.low_wire[wide, end] - blocks.low_wire[wide, first]
    return min(one, two * (1 + _CROWDING * max(0.0, column / high - 1)))


@njit(cache=True, nogil=True)
def _finished(blocks, partial, s, x, y):
    """The least wires of a partial layout with its rest in a row: wires, in y, reversed."""
    best, in_y, reverse = np.inf, 0, 0
    first, end = partial.run[s]
    room = partial.room[s]
    x[:], y[:] = partial.x[s], partial.y[s]
    wide, high = room[2] - room[0], room[3] - room[1]
    row = blocks.thin_sum[high, end] - blocks.thin_sum[high, first]
    column = blocks.low_sum[wide, end] - blocks.low_sum[wide, first]
    for way in range(2):
        if (column > high) if way else (row > wide):
            continue
        for back in range(2):
            _lay(blocks, first, end, room, way == 0, back == 1, x, y)
            wires = partial.cost[s] + _wires(blocks, first, end, first, end, x, y)
            if wires < best:
                best, in_y, reverse = wires, way, back
    return best, in_y, reverse


@njit(cache=True, nogil=True)
def _continued(blocks, partial, s, best, found, x, y):
    """Sections that may follow, into rows of `found`: what is made, wires, and a guess of all."""
    first, end = partial.run[s]
    room = partial.room[s]
    x[:], y[:] = partial.x[s], partial.y[s]
    count = 0
    for choice in range(16):
        side, last, kind = choice & 3, (choice >> 2) & 1, choice >> 3
        depth = 1
        for blocks_taken in range(1, end - first):
            a, b = (end - blocks_taken, end) if last else (first, first + blocks_taken)
            depth = _depth(blocks, kind, side, a, b, room, depth)
            if depth >= (room[2] - room[0] if side & 1 else room[3] - room[1]):
                break
            if kind == ALONG and blocks_taken == 1:
                continue
            part, rest = _taken(room, side, depth)
            c, d = (first, a) if last else (b, end)
            area = (rest[2] - rest[0]) * (rest[3] - rest[1])
            if area < blocks.area_sum[d] - blocks.area_sum[c]:
                continue
            guess = _rest_wires(blocks, c, d, rest)
            if partial.cost[s] + guess >= best:
                continue
            in_x = (side & 1 == 0) == (kind == ALONG)
            for back in range(2):
                if count == len(found):
                    return count
                _lay(blocks, a, b, part, in_x, back == 1, x, y)
                wires = partial.cost[s] + _wires(blocks, a, b, first, end, x, y)
                one = a if last else b - 1
                middle_x, middle_y = 0.5 * (rest[0] + rest[2]), 0.5 * (rest[1] + rest[3])
                beside = min(abs(x[one] - rest[0]), abs(x[one] - rest[2]))
                beyond = min(abs(y[one] - rest[1]), abs(y[one] - rest[3]))
                way = min(beside + abs(y[one] - middle_y), beyond + abs(x[one] - middle_x))
                whole = wires + guess + way * blocks.pull[one, 0]
                if whole < best:
                    row = found[count]
                    row[0], row[1], row[2], row[3] = side, last, kind, blocks_taken
                    row[4], row[5], row[6], row[7] = back, depth, wires, whole
                    count += 1
    return count


@njit(cache=True, nogil=True)
def _with_section(blocks, partial, s, row, done, into, n):
    """Partial layout n of `into` becomes layout s with one section more, the one of `row`."""
    made = row[:6].astype(np.int64)
    side, last, kind, taken, back, depth = made[0], made[1], made[2], made[3], made[4], made[5]
    first, end = partial.run[s]
    part, rest = _taken(partial.room[s], side, depth)
    a, b = (end - taken, end) if last else (first, first + taken)
    into.x[n], into.y[n], into.made[n] = partial.x[s], partial.y[s], partial.made[s]
    in_x = (side & 1 == 0) == (kind == ALONG)
    _lay(blocks, a, b, part, in_x, back == 1, into.x[n], into.y[n])
    into.room[n], into.cost[n] = rest, row[6]
    into.run[n, 0], into.run[n, 1] = (first, a) if last else (b, end)
    into.made[n, done] = made


@njit(cache=True, nogil=True)
def _empty(count, blocks, sections):
    return Partial(
        np.zeros((count, 2), np.int64), np.zeros((count, 4), np.int64), np.zeros(count),
        np.zeros((count, blocks)), np.zeros((count, blocks)),
        np.zeros((count, sections, 6), np.int64),
    )  # fmt: skip


@njit(cache=True, nogil=True)
def best_sections(blocks, columns, rows, limit, beam, sections):
    """The least wires below a limit, the sections that make them, and how the rest lies.

    Returns wires (infinite if none), rows of `Partial.made`, how many count, and whether the rest
    lies in y and reversed.
    """
    count = len(blocks.thin)
    x, y = np.zeros(count), np.zeros(count)
    now = _empty(1, count, sections)
    now.run[0, 1], now.room[0, 2], now.room[0, 3] = count, columns, rows
    ways = np.zeros((_CHILDREN, 8))
    best, made, used, in_y, reverse = limit, now.made[0], 0, 0, 0
    for done in range(sections + 1):
        for s in range(len(now.cost)):
            wires, way, back = _finished(blocks, now, s, x, y)
            if wires < best:
                best, made, used, in_y, reverse = wires, now.made[s], done, way, back
        if done == sections:
            break
        found, total = np.zeros((len(now.cost) * beam, 9)), 0
        for s in range(len(now.cost)):
            more = _continued(blocks, now, s, best, ways, x, y)
            for row in np.argsort(ways[:more, 7])[:beam]:
                found[total, :8], found[total, 8] = ways[row], s
                total += 1
        kept = np.argsort(found[:total, 7])[:beam]
        after = _empty(len(kept), count, sections)
        for n, row in enumerate(kept):
            _with_section(blocks, now, int(found[row, 8]), found[row], done, after, n)
        now = after
    return best if best < limit else np.inf, made[:used], in_y, reverse
