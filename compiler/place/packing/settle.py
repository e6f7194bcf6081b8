"""Shifting laid blocks to the places that make their wires shortest; their order stays.

Along one axis, blocks that would meet keep their order and distance; the least sum of weighted
distances between centres is then a linear program, solved by simplex. Sizes are whole, so its
corners are, too: where the sizes of two joined blocks differ in parity their centres are at least
half a tile apart, and with that bound stated every breakpoint is a whole number. The axes take
turns until neither gains.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from .problem import Block, Problem

_TURNS = 6


def settled(problem: Problem, blocks: Sequence[Block]) -> tuple[Block, ...]:
    """The blocks at the same sizes, nowhere overlapping, with wires that are no longer."""
    low = np.array([(block.x, block.y) for block in blocks], np.int64)
    size = np.array([(block.width, block.height) for block in blocks], np.int64)
    room = (problem.columns, problem.rows)
    best = _wire(problem, low, size)
    for turn in range(_TURNS):
        before = best
        for axis in (turn % 2, 1 - turn % 2):
            moved = low.copy()
            moved[:, axis] = _along(problem, low, size, axis, room[axis])
            wire = _wire(problem, moved, size)
            if wire < best:
                low, best = moved, wire
        if best >= before:
            break
    return tuple(
        replace(block, x=int(x), y=int(y)) for block, (x, y) in zip(blocks, low, strict=True)
    )


def wire_of(problem: Problem, blocks: Sequence[Block]) -> float:
    """Sum of the weighted distances between the centres of joined blocks."""
    low = np.array([(block.x, block.y) for block in blocks], np.int64)
    size = np.array([(block.width, block.height) for block in blocks], np.int64)
    return _wire(problem, low, size)


def _wire(problem: Problem, low: np.ndarray, size: np.ndarray) -> float:
    centre = 2 * low + size
    apart = np.abs(centre[problem.edges[:, 0]] - centre[problem.edges[:, 1]]).sum(axis=1)
    return float(0.5 * (apart * problem.weights).sum())


def _along(problem: Problem, low: np.ndarray, size: np.ndarray, axis: int, room: int) -> np.ndarray:
    """The best positions on one axis; those there are if the solver finds none."""
    from scipy.optimize import linprog  # its import takes as long as a small plan
    from scipy.sparse import csr_matrix

    first, second = _facing(low, size, axis)
    a, b = problem.edges[:, 0], problem.edges[:, 1]
    count, edges, pairs = len(low), len(a), len(first)
    length = size[:, axis]
    offset = 0.5 * (length[a] - length[b])
    e, p = count + np.arange(edges), np.arange(pairs)
    above, below = pairs + np.arange(edges), pairs + edges + np.arange(edges)
    entries = [
        (p, first, 1), (p, second, -1),
        (above, a, 1), (above, b, -1), (above, e, -1),
        (below, b, 1), (below, a, -1), (below, e, -1),
    ]  # fmt: skip
    rows = np.concatenate([row for row, _, _ in entries])
    columns = np.concatenate([column for _, column, _ in entries])
    values = np.concatenate([np.full(len(row), sign, np.float64) for row, _, sign in entries])
    matrix = csr_matrix((values, (rows, columns)), shape=(pairs + 2 * edges, count + edges))
    limit = np.concatenate([-length[first].astype(np.float64), -offset, offset])
    cost = np.concatenate([np.zeros(count), problem.weights])
    bounds = [(0, int(room - one)) for one in length] + [(abs(o % 1), None) for o in offset]
    found = linprog(cost, matrix, limit, bounds=bounds, method="highs-ds")
    if found.x is None:
        return low[:, axis]
    place = np.rint(found.x[:count]).astype(np.int64)
    apart = (place[first] + length[first] <= place[second]).all()
    inside = (place >= 0).all() and (place + length <= room).all()
    return place if apart and inside else low[:, axis]


def _facing(low: np.ndarray, size: np.ndarray, axis: int) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of blocks that would meet if they moved along an axis, the lower one first."""
    other = 1 - axis
    start, end = low[:, other], low[:, other] + size[:, other]
    meet = (start[:, None] < end[None, :]) & (start[None, :] < end[:, None])
    before = low[:, None, axis] < low[None, :, axis]
    first, second = np.nonzero(meet & before)
    return first, second
