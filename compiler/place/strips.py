"""Packing stages in pipeline order into vertical strips of the wafers of a chain.

A strip is as tall as the wafer; consecutive stages lie in it one below the other, so neighbours in
the pipeline are neighbours on the wafer. For a strip of width w every stage takes its lowest shape
that is no wider than w. The partition of the stages into strips of least total width is found
exactly: with f(i) the least width for stages i, i+1, ...,

    f(i) = min over w of  w + f(first stage that no longer fits the strip begun at i)

Filling a strip as far as it goes loses nothing, since f never grows with i. Hence more rows, more
columns or more shapes can only help. On a chain of wafers no strip lies on two: the sum skips the
columns that are left over, and f is still least, because w + f grows with f (and with that gap).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numba import njit

from ..machine.arrays import Ints


@dataclass(frozen=True)
class StripShape:
    """One way to lay a stage; `choice` is its number among the stage's choices."""

    height: int
    width: int
    choice: int


@dataclass(frozen=True, eq=False)
class StripShapes:
    """All ways to lay a stage as arrays, see `StripShape`."""

    heights: Ints
    widths: Ints
    choices: Ints


@dataclass(frozen=True)
class Strip:
    """Stages `first` to `last` (exclusive) one below the other, at most `width` wide."""

    first: int
    last: int
    width: int


def partition(
    shapes: Sequence[StripShapes], rows: int, columns: int, height_weight: float = 0.0
) -> tuple[Strip, ...] | None:
    """Strips of least total width on wafers of `columns` columns, or None if a stage fits none.

    `height_weight` adds that much per row used, which trades width for shorter stacks; the result
    is then no longer the narrowest.
    """
    distinct = {id(stage): stage for stage in shapes}
    widths = np.unique(np.concatenate([stage.widths for stage in distinct.values()]))
    widths = widths[widths <= columns]
    if not len(widths):
        return None
    lowest = {key: _lowest(stage, widths, rows + 1) for key, stage in distinct.items()}
    heights = np.array([lowest[id(stage)] for stage in shapes])
    stacked = np.vstack([np.zeros(len(widths), np.int64), np.cumsum(heights, axis=0)])
    best = _pack(stacked, widths, rows, columns, height_weight)
    return _follow([Strip(n, int(b), int(w)) if b else None for n, (b, w) in enumerate(best)])


@njit(cache=True)
def _pack(stacked: Ints, widths: Ints, rows: int, columns: int, height_weight: float) -> Ints:
    """Of each stage the best strip that begins with it: the first stage after it, and its width; 0
    and 0 if it fits none. `stacked` has the heights of all stages before, for each width."""
    count = len(stacked) - 1
    cost, taken = np.full(count + 1, np.inf), np.zeros(count + 1, np.int64)
    cost[count] = 0.0
    best = np.zeros((count, 2), np.int64)
    last = np.full(len(widths), count)
    for first in range(count - 1, -1, -1):
        for number in range(len(widths)):
            while stacked[last[number], number] - stacked[first, number] > rows:
                last[number] -= 1
            after, width = last[number], widths[number]
            if after > first:
                left = -taken[after] % columns
                added = width if width <= left else left + width
                used = stacked[after, number] - stacked[first, number]
                total = added + height_weight * used + cost[after]
                if total < cost[first]:
                    cost[first], taken[first] = total, taken[after] + added
                    best[first, 0], best[first, 1] = after, width
    return best


def _lowest(stage: StripShapes, widths: Ints, too_high: int) -> Ints:
    """Least height of a stage for each strip width."""
    order = np.argsort(stage.widths, kind="stable")
    lowest = np.minimum.accumulate(np.minimum(stage.heights[order], too_high))
    fitting = np.searchsorted(stage.widths[order], widths, side="right")
    return np.concatenate(([too_high], lowest))[fitting]


def _follow(best: Sequence[Strip | None]) -> tuple[Strip, ...] | None:
    strips: list[Strip] = []
    first = 0
    while first < len(best):
        strip = best[first]
        if strip is None:
            return None
        strips.append(strip)
        first = strip.last
    return tuple(strips)


def columns_taken(strips: Sequence[Strip], columns: int) -> int:
    """Columns of the chain up to the last strip's end, with what is left over on each wafer."""
    wafers = wafers_of(strips, columns)
    on_last = zip(strips, wafers, strict=True)
    return wafers[-1] * columns + sum(strip.width for strip, w in on_last if w == wafers[-1])


def wafers_of(strips: Sequence[Strip], columns: int) -> list[int]:
    """Which wafer each strip lies on, filling one after the other."""
    wafer, used, found = 0, 0, []
    for strip in strips:
        if used + strip.width > columns:
            wafer, used = wafer + 1, 0
        used += strip.width
        found.append(wafer)
    return found


def shape_in(stage: StripShapes, width: int) -> StripShape:
    """The shape a stage takes in a strip: the lowest, of these the narrowest."""
    fitting = np.flatnonzero(stage.widths <= width)
    heights, widths, choices = (
        values[fitting] for values in (stage.heights, stage.widths, stage.choices)
    )
    best = np.lexsort((choices, widths, heights))[0]
    return StripShape(int(heights[best]), int(widths[best]), int(choices[best]))
