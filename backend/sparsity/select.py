"""Mask arithmetic on numpy arrays: exact counts, and the same result on every machine.

Scores and masks are (blocks, elements); each block is on its own. Equal scores are taken in the
order of their index.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from .initializers import kept_count

BoolMask = NDArray[np.bool_]
Scores = NDArray[np.floating]
Counts = NDArray[np.int64]
Grow = Callable[[BoolMask, Scores, Counts], BoolMask]
"""`grow_highest`, or what takes its place."""

WORST = -2.0
"""Below every score that counts (scores are at least -1)."""


def highest(scores: Scores, counts: Counts) -> BoolMask:
    """The `counts[b]` highest scores of every block b."""
    pairs = zip(scores, counts, strict=True)
    return np.stack([_highest(row, int(count)) for row, count in pairs])


def drop_lowest(mask: BoolMask, scores: Scores, counts: Counts) -> BoolMask:
    """Of the True positions, the `counts[b]` with the highest scores."""
    return highest(np.where(mask, scores, WORST), counts) & mask


def survivors(mask: BoolMask, drop: float, kept: Counts) -> Counts:
    """True positions left in every block once the share `drop` of them is dropped.

    The truncation of (1 - drop) * current, but never more than `kept`, so that a mask denser than
    wanted (training that started dense) gets its exact count in one update.
    """
    current = mask.sum(axis=1)
    return np.minimum([kept_count(int(count), drop) for count in current], kept)


def grow_highest(mask: BoolMask, scores: Scores, counts: Counts) -> BoolMask:
    """`mask` and those False positions with the highest scores that bring it to `counts[b]`."""
    missing = np.maximum(counts - mask.sum(axis=1), 0)
    return mask | highest(np.where(mask, WORST, scores), missing)


def magnitude(values: NDArray[np.floating]) -> Scores:
    """Absolute values; what is not finite counts as -1, below every number."""
    return np.where(np.isfinite(values), np.abs(values), -1.0)


def _highest(scores: NDArray[np.floating], count: int) -> BoolMask:
    if count <= 0:
        return np.zeros(scores.size, np.bool_)
    if count >= scores.size:
        return np.ones(scores.size, np.bool_)
    bar = np.partition(scores, scores.size - count)[scores.size - count]
    chosen = scores > bar
    ties = np.flatnonzero(scores == bar)
    chosen[ties[: count - int(chosen.sum())]] = True
    return chosen
