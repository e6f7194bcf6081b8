"""Execution arguments for a rectangle: as fast as it allows, with few adapters.

An adapter is needed for each of h, w and c in which two joined kernels differ; the channels that a
kernel shows are k of its last convolution to its consumers and c of its first to its producers
(one reading of a rule that the contest did not publish). The kernels take turns: each picks, of
its arguments that fit its rectangle and are no slower than the slowest kernel, those that need the
fewest adapters, until none gains.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numba import njit

from .instance import ContestKernel, Instance
from .sizing import least_split

_SWEEPS = 20


@dataclass(frozen=True)
class Arguments:
    """Execution arguments: positions h x w, and c and k of each convolution."""

    h: int
    w: int
    c: tuple[int, ...]
    k: tuple[int, ...]


@njit(cache=True, nogil=True)
def _time(table, h, w, c, k):
    slowest = 0.0
    for i in range(table.shape[0]):
        H, W, R, S, C, K, T = table[i]
        passes = -(-H // h) * -(-W // w) * -(-C // c[i]) * -(-K // k[i])
        slowest = max(slowest, passes * R * S / (T * T))
    return slowest


def time_of(kernel: ContestKernel, arguments: Arguments) -> float:
    """The kernel's time."""
    chosen = np.array(arguments.c, np.int64), np.array(arguments.k, np.int64)
    return float(_time(kernel.table, arguments.h, arguments.w, *chosen))


@njit(cache=True, nogil=True)
def _options(table, limit, memory, width, height):
    """Rows h, w, c, width of all positions and c that fit; c is the most of all convolutions."""
    H, W, C = table[:, 0].min(), table[:, 1].min(), table[:, 4].max()
    found = []
    for h in range(1, min(H, height // 2) + 1):
        for w in range(1, min(W, height // 2 // h) + 1):
            for c in range(1, min(height // (h * w) - 1, C) + 1):
                total = 0
                for i in range(table.shape[0]):
                    k = least_split(limit, memory, table[i], h, w, min(c, table[i, 4]))
                    total = total + 3 * k if k > 0 else width + 1
                    if total > width:
                        break
                if total <= width:
                    found.append((h, w, c, total))
    return found


def options(
    kernel: ContestKernel, limit: float, memory: int, width: int, height: int
) -> list[tuple[Arguments, bool]]:
    """Arguments with a time of at most `limit` in a rectangle, and whether they lie rotated."""
    found: list[tuple[Arguments, bool]] = []
    ways = ((False, width, height), (True, height, width))
    for rotated, wide, high in ways:
        for h, w, c, _ in _options(kernel.table, limit, memory, wide, high):
            split = tuple(min(c, one.C) for one in kernel.convolutions)
            rows = zip(kernel.table, split, strict=True)
            k = tuple(int(least_split(limit, memory, row, h, w, part)) for row, part in rows)
            found.append((Arguments(h, w, split, k), rotated))
    return found


def exact_options(
    kernel: ContestKernel, limit: float, memory: int, width: int, height: int
) -> list[tuple[Arguments, bool]]:
    """Arguments that fill a rectangle to the tile, and whether they lie rotated.

    Where the least k leave columns over, convolutions take more, the first ones first.
    """
    found: list[tuple[Arguments, bool]] = []
    for rotated, wide, high in ((False, width, height), (True, height, width)):
        for h, w, c, total in _options(kernel.table, limit, memory, wide, high):
            if h * w * (c + 1) != high or (wide - total) % 3:
                continue
            split = tuple(min(c, one.C) for one in kernel.convolutions)
            k, spare = [], (wide - total) // 3
            for row, part, one in zip(kernel.table, split, kernel.convolutions, strict=True):
                least = int(least_split(limit, memory, row, h, w, part))
                k.append(min(one.K, least + spare))
                spare -= k[-1] - least
            if spare == 0:
                found.append((Arguments(h, w, split, tuple(k)), rotated))
    return found


def with_few_adapters(
    instance: Instance, choices: Sequence[list[tuple[Arguments, bool]]]
) -> list[tuple[Arguments, bool]]:
    """One choice for every kernel."""
    tables = [_shown(options) for options in choices]
    picked = [0] * len(choices)
    for _ in range(_SWEEPS):
        before = list(picked)
        for kernel, table in enumerate(tables):
            needed = np.zeros(len(table), np.int64)
            for source, sink in instance.edges:
                if sink == kernel and source != kernel:
                    given = tables[source][picked[source]]
                    needed += (table[:, :3] != given[[0, 1, 3]]).sum(axis=1)
                elif source == kernel and sink != kernel:
                    taken = tables[sink][picked[sink]]
                    needed += (table[:, [0, 1, 3]] != taken[:3]).sum(axis=1)
            if needed[picked[kernel]] > needed.min():
                picked[kernel] = int(np.argmin(needed))
        if picked == before:
            break
    return [options[number] for options, number in zip(choices, picked, strict=True)]


def _shown(options: list[tuple[Arguments, bool]]) -> np.ndarray:
    """h, w, c to producers, k to consumers, for every option."""
    rows = [(one.h, one.w, one.c[0], one.k[-1]) for one, _ in options]
    return np.array(rows, np.int64).reshape(-1, 4)
