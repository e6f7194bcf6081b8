"""Rectangles a tile or two larger than they must be, where that brings centres level.

Centres of rectangles with even and odd sizes are half a tile apart at best. A kernel may take more
channels' rows or columns than it needs; where that leaves it room and makes its wires no longer, it
does. The kernels take turns in the order of the file; equal wires count as gain where the kernel
comes level with the one before it, so a difference wanders to the end of a chain.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product

import numpy as np

from ..packing import Block, Problem

_GROWTH = 3
"""Most tiles that a side grows by."""
_SWEEPS = 3


def grown(
    problem: Problem, blocks: Sequence[Block], possible: Callable[[int, int, int], bool]
) -> tuple[Block, ...]:
    """The blocks with wires that are no longer; `possible(number, width, height)` is a size."""
    now = list(blocks)
    for _ in range(_SWEEPS):
        before = list(now)
        for number in range(len(now)):
            now[number] = _better(problem, now, number, possible)
        if now == before:
            break
    return tuple(now)


def _better(
    problem: Problem,
    blocks: Sequence[Block],
    number: int,
    possible: Callable[[int, int, int], bool],
) -> Block:
    """The best block of those around the one there is."""
    joined, joins = problem.joined
    near = [blocks[int(other)] for other in joined[number, : joins[number]] if other != number]
    if not near:
        return blocks[number]
    best = blocks[number]
    cost = _cost(best, near)
    for wide, high in product(range(_GROWTH + 1), repeat=2):
        size = (blocks[number].width + wide, blocks[number].height + high)
        if (wide or high) and not possible(number, *size):
            continue
        for left, low in product(range(wide + 1), range(high + 1)):
            one = Block(blocks[number].x - left, blocks[number].y - low, *size)
            new = _cost(one, near)
            if new < cost and _free(problem, blocks, number, one):
                best, cost = one, new
    return best


def _cost(block: Block, near: Sequence[Block]) -> tuple[float, float]:
    """Wires to the neighbours, then to the first of them alone."""
    across = [abs(2 * (block.x - o.x) + block.width - o.width) for o in near]
    along = [abs(2 * (block.y - o.y) + block.height - o.height) for o in near]
    return sum(across) + sum(along), across[0] + along[0]


def _free(problem: Problem, blocks: Sequence[Block], number: int, one: Block) -> bool:
    """Whether a block lies on the wafer and on no other block."""
    if min(one.x, one.y) < 0:
        return False
    if one.x + one.width > problem.columns or one.y + one.height > problem.rows:
        return False
    others = np.array([(b.x, b.y, b.width, b.height) for b in blocks])
    x, y, width, height = others.T
    meets = (one.x < x + width) & (x < one.x + one.width)
    meets &= (one.y < y + height) & (y < one.y + one.height)
    meets[number] = False
    return not meets.any()
