"""The shortest wires of all parts, shorter runs first.

A part keeps a few layouts that differ in where its first and last block lie, for those are joined
to what is outside. A cut puts every layout of one side beside every layout of the other, mirrored
in all ways, and adds the wires across.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from .tree import STACKED

_PLACES = 81
"""Thirds of width and height in which the first and the last block lie."""


@njit(cache=True, nogil=True)
def _thirds(a, b, size):
    """In which thirds of twice a size two positions lie, mirrored so that the first is low."""
    one = 0 if 3 * a < 2 * size else (2 if 3 * a > 4 * size else 1)
    two = 0 if 3 * b < 2 * size else (2 if 3 * b > 4 * size else 1)
    if one == 2 or (one == 1 and two == 2):
        return 3 * (2 - one) + 2 - two
    return 3 * one + two


@njit(cache=True, nogil=True)
def _inside(edges, weights, shorter, blocks):
    """For runs i to j: no wires inside are shorter; by half the sum of two shorter sides each."""
    least = np.zeros((blocks, blocks))
    for i in range(blocks):
        for e in range(len(edges)):
            a, b = min(edges[e, 0], edges[e, 1]), max(edges[e, 0], edges[e, 1])
            if a >= i:
                least[i, b] += 0.5 * weights[e] * (shorter[a] + shorter[b])
        for j in range(1, blocks):
            least[i, j] += least[i, j - 1]
    return least


@njit(cache=True, nogil=True)
def _outside(place, lows, ups, k, along, lower, upper, side, mirrored, pins, pulls):
    """Wires to the pins in the best of four mirrorings of the whole; that one's number."""
    one, two = np.zeros(2), np.zeros(2)  # along and across; straight and mirrored
    for e in range(len(pins)):
        u = pins[e, 0]
        if u <= k:
            at, over = place[lows + u, along], place[lows + u, 1 - along]
            if mirrored & 1:
                at = lower - at
        else:
            at, over = place[ups + u - k - 1, along], place[ups + u - k - 1, 1 - along]
            if mirrored & 4:
                at = upper - at
            if mirrored & 2:
                over = side - over
            at += lower
        pull = 0.5 * pulls[e]
        one[0] += pull * abs(pins[e, 1 + along] - at)
        one[1] += pull * abs(pins[e, 1 + along] - (lower + upper - at))
        two[0] += pull * abs(pins[e, 2 - along] - over)
        two[1] += pull * abs(pins[e, 2 - along] - (side - over))
    flip_along, flip_across = int(one[1] < one[0]), int(two[1] < two[0])
    number = flip_along << along | flip_across << (1 - along)
    return min(one[0], one[1]) + min(two[0], two[1]), number


@njit(cache=True, nogil=True)
def shortest(parts, edges, weights, shorter, kept, limit, pins, pulls):
    """Layouts of every part with their wires: how many, and how each is made.

    `edges` name blocks by their place in the order; `shorter[i]` is the least shorter side of block
    i. Layouts that cannot belong to a whole with wires below `limit` are left out. A layout is made
    of a cut, a layout of either side, and whether they are mirrored (bit 0: the lower part along,
    1: the upper part across, 2: the upper part along the cut's way; of the whole, bits 3 and 4: all
    of it in x and in y). `pins` are a block of the whole and twice the position, from the whole's
    corner, of what it is joined to outside; `pulls` are their weights.
    """
    first, last, width, height = parts.first, parts.last, parts.width, parts.height
    count, blocks = len(first), last[0] + 1
    found = np.zeros(count, np.int64)
    cost = np.full((count, kept), np.inf)
    made = np.zeros((count, kept, 4), np.int32)
    offset = np.zeros(count + 1, np.int64)
    for part in range(count):
        offset[part + 1] = offset[part] + kept * (last[part] - first[part] + 1)
    place = np.zeros((offset[count], 2), np.int16)  # twice the centre of each block of a layout
    least = _inside(edges, weights, shorter, blocks)
    part = parts.head[1]
    while part >= 0:
        found[part], cost[part, 0] = 1, 0.0
        place[offset[part], 0], place[offset[part], 1] = width[part], height[part]
        part = parts.after[part]
    best, how = np.full(_PLACES, np.inf), np.zeros((_PLACES, 4), np.int32)
    crossing, weight = np.zeros((len(edges), 2), np.int64), np.zeros(len(edges))
    for length in range(2, blocks + 1):
        part = parts.head[length]
        while part >= 0:
            i, j = first[part], last[part]
            bound = limit - (least[0, blocks - 1] - least[i, j])
            best[:] = np.inf
            for c in range(parts.start[part], parts.end[part]):
                a, b, k, way, size = parts.cuts[c]
                if found[a] == 0 or found[b] == 0:
                    continue
                crosses = 0
                for e in range(len(edges)):
                    u, v = min(edges[e, 0], edges[e, 1]), max(edges[e, 0], edges[e, 1])
                    if i <= u and u <= k and k < v and v <= j:
                        crossing[crosses, 0] = offset[a] + u - i
                        crossing[crosses, 1] = offset[b] + v - k - 1
                        weight[crosses] = 0.5 * weights[e]
                        crosses += 1
                along = 1 if way == STACKED else 0
                across = 1 - along
                lower = 2 * size
                upper = 2 * (height[part] if way == STACKED else width[part]) - lower
                side = 2 * (width[part] if way == STACKED else height[part])
                for x in range(found[a]):
                    at = x * (k - i + 1)
                    for y in range(found[b]):
                        base = cost[a, x] + cost[b, y]
                        if base >= bound:
                            break
                        to = y * (j - k)
                        for mirrored in range(8):
                            total = base
                            for e in range(crosses):
                                u, v = crossing[e, 0] + at, crossing[e, 1] + to
                                one, two, three = place[u, along], place[v, along], place[v, across]
                                if mirrored & 1:
                                    one = lower - one
                                if mirrored & 4:
                                    two = upper - two
                                if mirrored & 2:
                                    three = side - three
                                total += weight[e] * (
                                    abs(two + lower - one) + abs(place[u, across] - three)
                                )
                            if total >= bound:
                                continue
                            turned = 0
                            if part == 0 and len(pins):
                                outside, turned = _outside(
                                    place, offset[a] + at, offset[b] + to, k, along, lower,
                                    upper, side, mirrored, pins, pulls,
                                )  # fmt: skip
                                total += outside
                                if total >= bound:
                                    continue
                            u, v = offset[a] + at, offset[b] + to + j - k - 1
                            one, two, three = place[u, along], place[v, along], place[v, across]
                            if mirrored & 1:
                                one = lower - one
                            if mirrored & 4:
                                two = upper - two
                            if mirrored & 2:
                                three = side - three
                            q = _thirds(one, two + lower, (lower + upper) // 2)
                            r = _thirds(place[u, across], three, side // 2)
                            kind = 9 * r + q if way == STACKED else 9 * q + r
                            if total < best[kind]:
                                best[kind] = total
                                how[kind, 0], how[kind, 1], how[kind, 2] = c, x, y
                                how[kind, 3] = mirrored + 8 * turned
            ranked = np.argsort(best)
            for n in range(kept):
                kind = ranked[n]
                if best[kind] == np.inf:
                    break
                c, x, y, mirrored = how[kind]
                a, b, k, way, size = parts.cuts[c]
                cost[part, n], made[part, n] = best[kind], how[kind]
                found[part] = n + 1
                along = 1 if way == STACKED else 0
                across = 1 - along
                lower = 2 * size
                upper = 2 * (height[part] if way == STACKED else width[part]) - lower
                side = 2 * (width[part] if way == STACKED else height[part])
                into = offset[part] + n * (j - i + 1)
                for u in range(k - i + 1):
                    one = place[offset[a] + x * (k - i + 1) + u]
                    place[into + u, along] = lower - one[along] if mirrored & 1 else one[along]
                    place[into + u, across] = one[across]
                into += k - i + 1
                for v in range(j - k):
                    one = place[offset[b] + y * (j - k) + v]
                    two = upper - one[along] if mirrored & 4 else one[along]
                    place[into + v, along] = lower + two
                    place[into + v, across] = side - one[across] if mirrored & 2 else one[across]
            part = parts.after[part]
    return found, cost, made
