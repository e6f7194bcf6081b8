"""Packing stages in pipeline order into vertical strips of the wafer.

A strip is as tall as the wafer; consecutive stages lie in it one below the other, so neighbours in
the pipeline are neighbours on the wafer. For a strip of width w every stage takes its lowest shape
that is no wider than w. The partition of the stages into strips of least total width is found
exactly: with f(i) the least width for stages i, i+1, ...,

    f(i) = min over w of  w + f(first stage that no longer fits the strip begun at i)

Filling a strip as far as it goes loses nothing, since f never grows with i. Hence more rows, more
columns or more shapes can only help.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..kernels.tilings import Ints


@dataclass(frozen=True)
class Shape:
    """One way to lay a stage; `choice` is its number among the stage's choices."""

    height: int
    width: int
    choice: int


@dataclass(frozen=True, eq=False)
class Shapes:
    """All ways to lay a stage as arrays, see `Shape`."""

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
    shapes: Sequence[Shapes], rows: int, height_weight: float = 0.0
) -> tuple[Strip, ...] | None:
    """Strips of least total width, or None if a stage fits no strip.

    `height_weight` adds that much per row used, which trades width for shorter stacks; the result
    is then no longer the narrowest.
    """
    widths = np.unique(np.concatenate([stage.widths for stage in shapes]))
    heights = np.array([_lowest(stage, widths, rows + 1) for stage in shapes])
    stacked = np.vstack([np.zeros(len(widths), np.int64), np.cumsum(heights, axis=0)])
    count, columns = len(shapes), np.arange(len(widths))
    cost = np.full(count + 1, np.inf)
    cost[count] = 0.0
    best: list[Strip | None] = [None] * count
    last = np.full(len(widths), count)
    for first in reversed(range(count)):
        last = _reach(stacked, columns, first, last, rows)
        used = stacked[last, columns] - stacked[first]
        total = widths + height_weight * used + cost[last]
        total[last == first] = np.inf
        pick = int(np.argmin(total))
        if np.isfinite(total[pick]):
            cost[first] = total[pick]
            best[first] = Strip(first, int(last[pick]), int(widths[pick]))
    return _follow(best)


def _lowest(stage: Shapes, widths: Ints, too_high: int) -> Ints:
    """Least height of a stage for each strip width."""
    order = np.argsort(stage.widths, kind="stable")
    lowest = np.minimum.accumulate(np.minimum(stage.heights[order], too_high))
    fitting = np.searchsorted(stage.widths[order], widths, side="right")
    return np.concatenate(([too_high], lowest))[fitting]


def _reach(stacked: Ints, columns: Ints, first: int, last: Ints, rows: int) -> Ints:
    """For each width, the first stage that no longer fits a strip begun at `first`.

    `last` is the answer for `first + 1`, which the one for `first` does not exceed.
    """
    while (over := stacked[last, columns] - stacked[first] > rows).any():
        last = last - over
    return last


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


def total_width(strips: Sequence[Strip]) -> int:
    """Columns that all strips take side by side."""
    return sum(strip.width for strip in strips)


def shape_in(stage: Shapes, width: int) -> Shape:
    """The shape a stage takes in a strip: the lowest, of these the narrowest."""
    fitting = np.flatnonzero(stage.widths <= width)
    heights, widths, choices = (
        values[fitting] for values in (stage.heights, stage.widths, stage.choices)
    )
    best = np.lexsort((choices, widths, heights))[0]
    return Shape(int(heights[best]), int(widths[best]), int(choices[best]))
