"""Exact sizes of the contest's kernels: nothing is sampled.

For a time limit the least width at every height is found over all positions h x w and all c; each
convolution then takes the least k that is fast enough and fits the memory. A block's convolutions
may as well all use the largest c that its height allows: more c is never slower or larger. Limits
at which anything can change are the times themselves, products of ceil(H/h), ceil(W/w), ceil(C/c)
and ceil(K/k).
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numba import njit

from ..packing.curves import NONE, invert
from .instance import ContestKernel, Convolution

_SLACK = 1e-9


@njit(cache=True, nogil=True)
def least_split(limit, memory, conv, h, w, c):
    """The least k with which a convolution is fast and small enough; 0 if there is none."""
    H, W, R, S, C, K, T = conv[0], conv[1], conv[2], conv[3], conv[4], conv[5], conv[6]
    positions = -(-H // h) * -(-W // w) * R * S
    passes = int(np.floor(limit * T * T / positions + _SLACK)) // -(-C // c)
    if passes < 1:
        return 0
    k = -(-K // min(passes, K))
    kept = C / c * R * S + (W + S - 1) / w * ((H + R - 1) / h)
    if np.floor(K / k * kept + _SLACK) > memory:
        k = max(k, int(K * kept / (memory + 1)))
        while k <= K and np.floor(K / k * kept + _SLACK) > memory:
            k += 1
    return k if k <= K else 0


@njit(cache=True, nogil=True)
def widths_by_height(table, limit, memory, most):
    """Least width (unrotated) for every height 0 to `most`; NONE where nothing fits."""
    least = np.full(most + 1, NONE, np.int64)
    H, W, C = table[:, 0].min(), table[:, 1].min(), table[:, 4].max()
    for h in range(1, min(H, most // 2) + 1):
        for w in range(1, min(W, most // 2 // h) + 1):
            for c in range(1, min(most // (h * w) - 1, C) + 1):
                total = 0
                for i in range(table.shape[0]):
                    k = least_split(limit, memory, table[i], h, w, min(c, table[i, 4]))
                    if k == 0:
                        total = NONE
                        break
                    total += 3 * k
                height = h * w * (c + 1)
                if total < least[height]:
                    least[height] = total
    for height in range(1, most + 1):
        least[height] = min(least[height], least[height - 1])
    return least


def curve(kernel: ContestKernel, limit: float, memory: int, columns: int, rows: int) -> np.ndarray:
    """The least height for every width 0 to `columns`, rotated or not, at most `rows` high."""
    most = max(columns, rows)
    upright = np.minimum(widths_by_height(kernel.table, limit, memory, most), NONE)
    lying = np.full(most + 1, NONE, np.int64)
    invert(upright, lying)  # height of the upright kernel by its width
    best = np.minimum(upright, lying)[: columns + 1].astype(np.int16)
    best[best > rows] = NONE
    return best


def critical_times(kernels: Iterable[ContestKernel], low: float, high: float) -> np.ndarray:
    """All times from `low` to `high` that some choice of arguments of a kernel takes."""
    distinct = {one for kernel in kernels for one in kernel.convolutions}
    found = [_times(one, low, high) for one in sorted(distinct, key=repr)]
    return np.unique(np.concatenate([np.array([low]), *found]))


def _times(one: Convolution, low: float, high: float) -> np.ndarray:
    unit = one.R * one.S / one.T**2
    positions = np.unique(np.multiply.outer(_shares(one.H), _shares(one.W)))
    channels = np.unique(np.multiply.outer(_shares(one.C), _shares(one.K)))
    found = [np.zeros(0)]
    for share in positions:
        first = np.searchsorted(channels, low / unit / share - _SLACK)
        last = np.searchsorted(channels, high / unit / share + _SLACK, side="right")
        found.append(channels[first:last] * share * unit)
    return np.unique(np.concatenate(found))


def _shares(size: int) -> np.ndarray:
    """All values of ceil(size / parts)."""
    return np.unique(-(-size // np.arange(1, size + 1)))
