"""Packing stages in pipeline order into vertical strips of the wafers of a chain.

A strip is as tall as the wafer. Consecutive stages lie in it in rows, one row below the other, one
or a few stages in a row; so neighbours in the pipeline are neighbours on the wafer. A row of some
height takes the narrowest shapes that are no higher; in a strip of width w it has the least height
with which they are no wider than w together. The partition of the stages into strips of least total
width is found exactly: with f(i) the least width for stages i, i+1, ...,

    f(i) = min over w of  w + f(first stage that no longer fits the strip begun at i)

Filling a strip as far as it goes loses nothing, since f never grows with i. Hence more rows, more
columns or more shapes can only help. On a chain of wafers no strip lies on two: the sum skips the
columns that are left over, and f is still least, because w + f grows with f (and with that gap).
Of long chains of stages not every width is tried, but those of all shapes are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ..machine.arrays import Ints

_STAGES_AT_ALL_WIDTHS = 64


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
class Row:
    """Stages `first` to `last` (exclusive) abreast, at most `height` high."""

    first: int
    last: int
    height: int


@dataclass(frozen=True)
class Strip:
    """Stages `first` to `last` (exclusive) in rows one below the other, at most `width` wide."""

    first: int
    last: int
    width: int
    rows: tuple[Row, ...]


def partition(
    shapes: Sequence[StripShapes],
    rows: int,
    columns: int,
    height_weight: float = 0.0,
    abreast: int = 1,
) -> tuple[Strip, ...] | None:
    """Strips of least total width on wafers of `columns` columns, or None if a stage fits none.

    `height_weight` adds that much per row of PEs used, which trades width for shorter stacks; the
    result is then no longer the narrowest. So many stages may lie `abreast` in a row.
    """
    return next(partitions(shapes, rows, columns, [height_weight], abreast))


def partitions(
    shapes: Sequence[StripShapes],
    rows: int,
    columns: int,
    height_weights: Iterable[float],
    abreast: int = 1,
) -> Iterator[tuple[Strip, ...] | None]:
    """A partition for each of several weights, made when it is asked for."""
    distinct, kinds = _distinct(shapes)
    thin = np.array([_narrowest(stage, rows, columns) for stage in distinct]).reshape(-1, rows + 1)
    if (thin[:, rows] > columns).any():
        yield from (None for _ in height_weights)
        return
    areas = (thin * np.arange(rows + 1))[:, 1:].min(axis=1, initial=rows * columns)
    before = np.concatenate(([0], np.cumsum(areas[kinds])))
    widths = _widths(distinct, len(shapes), columns)
    starts, number = np.unique(_following(kinds, abreast), axis=0, return_inverse=True)
    heights = _heights_of_rows(thin, starts, widths)
    is_of_use = _lowers_a_row(heights)
    made = _Rows(heights[is_of_use], number.reshape(-1))
    widths = widths[is_of_use]
    for weight in height_weights:
        best = _pack(made, widths, before, rows, columns, weight)
        yield tuple(_follow(best, made, widths))


def _distinct(shapes: Sequence[StripShapes]) -> tuple[list[StripShapes], Ints]:
    """Stages that differ in their sizes, and which of them each stage is like."""
    number: dict[tuple[bytes, bytes], int] = {}
    distinct: list[StripShapes] = []
    like: dict[int, int] = {}
    for stage in shapes:
        if id(stage) not in like:
            like[id(stage)] = number.setdefault(
                (stage.heights.tobytes(), stage.widths.tobytes()), len(distinct)
            )
            distinct += [stage] if like[id(stage)] == len(distinct) else []
    return distinct, np.array([like[id(stage)] for stage in shapes], np.int64)


def _following(kinds: Ints, abreast: int) -> Ints:
    """For each stage its kind and those of the stages that can lie beside it; -1 after the last."""
    padded = np.concatenate((kinds, np.full(abreast - 1, -1)))
    return np.lib.stride_tricks.sliding_window_view(padded, abreast)


def _narrowest(stage: StripShapes, rows: int, columns: int) -> Ints:
    """Least width of a stage for each height up to `rows`; too wide where there is none."""
    found = np.full(rows + 1, columns + 1)
    fitting = stage.heights <= rows
    np.minimum.at(found, stage.heights[fitting], stage.widths[fitting])
    return np.minimum.accumulate(found)


def _widths(distinct: Sequence[StripShapes], stages: int, columns: int) -> Ints:
    """Widths of strips that are tried, ascending: of a few stages all."""
    is_tried = np.zeros(columns + 1, bool)
    is_tried[1 :: 1 + stages // _STAGES_AT_ALL_WIDTHS] = True
    for stage in distinct:
        is_tried[stage.widths[stage.widths <= columns]] = True
    return np.flatnonzero(is_tried)


def _lowers_a_row(heights: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Which of the widths make some row lower than the next smaller one does; the others only take
    room."""
    found = np.ones(len(heights), bool)
    found[1:] = (heights[1:] != heights[:-1]).any(axis=(1, 2))
    return found


@njit(cache=True)
def _heights_of_rows(thin: Ints, starts: Ints, widths: Ints) -> NDArray[np.int32]:
    """For each of the widths, the least height of a row of the first stage, of two, ... of those
    that can lie side by side; too high where there is none."""
    rows, abreast = thin.shape[1] - 1, starts.shape[1]
    found = np.full((len(widths), len(starts), abreast), rows + 1, np.int32)
    for first in range(len(starts)):
        together = np.zeros(rows + 1, np.int64)
        for more in range(abreast):
            if starts[first, more] < 0:
                break
            together += thin[starts[first, more]]
            height = 1
            for at in range(len(widths) - 1, -1, -1):
                while height <= rows and together[height] > widths[at]:
                    height += 1
                if height > rows:
                    break
                found[at, first, more] = height
    return found


class _Rows(NamedTuple):
    """Of each width the least heights of rows by how they start, see `_heights_of_rows`; and how a
    row starts that begins with each stage."""

    heights: NDArray[np.int32]
    start: Ints


@njit(cache=True)
def _stack(made: _Rows, at: int, first: int, rows: int, stacked: Ints, count: Ints) -> int:
    """Fill a strip of width number `at` from a stage on: the first stage after it. For each of its
    stages, `stacked` is the least height with it, and `count` how many are in its row."""
    stacked[first] = 0
    for last in range(first + 1, len(stacked)):
        stacked[last] = rows + 1
        for more in range(min(made.heights.shape[2], last - first)):
            start = last - 1 - more
            total = stacked[start] + made.heights[at, made.start[start], more]
            if total < stacked[last]:
                stacked[last], count[last] = total, more + 1
        if stacked[last] > rows:
            return last - 1
    return len(stacked) - 1


@njit(cache=True)
def _pack(
    made: _Rows,
    widths: Ints,
    areas: Ints,
    rows: int,
    columns: int,
    height_weight: float,
) -> Ints:
    """Of each stage the best strip that begins with it: the first stage after it, and the number of
    its width; 0 and 0 if it fits none. `areas` are least ones of all stages before: a strip holds
    no more than its own, which tells of most widths that they are not the best. Of widths that hold
    the same stages the least is best, unless height counts: the others are passed over."""
    stages = len(made.start)
    cost, taken = np.full(stages + 1, np.inf), np.zeros(stages + 1, np.int64)
    cost[stages] = 0.0
    best = np.zeros((stages, 2), np.int64)
    stacked, count = np.zeros(stages + 1, np.int64), np.zeros(stages + 1, np.int64)
    for first in range(stages - 1, -1, -1):
        most, low, held, step, last = first, -1, first, 1, len(widths) - 1
        while True:
            while last >= 0 and widths[last] >= cost[first]:
                last -= 1
            if low >= last:
                break
            at = min(low + step, last)
            while most < stages and areas[most + 1] - areas[first] <= widths[at] * rows:
                most += 1
            if step == 1 and widths[at] + cost[most] >= cost[first]:
                low = at
                continue
            after = _stack(made, at, first, rows, stacked, count)
            if after > held and at > low + 1:
                at = _first_to_hold(made, low, at, first, rows, held, stacked, count)
                after = _stack(made, at, first, rows, stacked, count)
            is_of_use = after > held or (height_weight > 0 and after > first)
            if is_of_use:
                left = -taken[after] % columns
                added = widths[at] if widths[at] <= left else left + widths[at]
                total = added + height_weight * stacked[after] + cost[after]
                if total < cost[first]:
                    cost[first], taken[first] = total, taken[after] + added
                    best[first, 0], best[first, 1] = after, at
            step = 1 if is_of_use or height_weight > 0 else 2 * step
            low, held = at, after
    return best


@njit(cache=True)
def _first_to_hold(
    made: _Rows,
    low: int,
    high: int,
    first: int,
    rows: int,
    held: int,
    stacked: Ints,
    count: Ints,
) -> int:
    """The least number of a width above `low`, `high` at most, whose strip from a stage on ends
    after `held`, as that of `high` does; `stacked` and `count` are room for _stack."""
    while high - low > 1:
        middle = (low + high) // 2
        if _stack(made, middle, first, rows, stacked, count) > held:
            high = middle
        else:
            low = middle
    return high


def _follow(best: Ints, made: _Rows, widths: Ints) -> list[Strip]:
    strips, first, stages = [], 0, len(best)
    stacked, count = np.zeros(stages + 1, np.int64), np.zeros(stages + 1, np.int64)
    while first < stages:
        last, at = map(int, best[first])
        _stack(made, at, first, 1 << 40, stacked[: last + 1], count)
        ends = [last]
        while ends[-1] > first:
            ends.append(ends[-1] - int(count[ends[-1]]))
        rows = (
            Row(start, end, int(stacked[end] - stacked[start]))
            for start, end in pairwise(reversed(ends))
        )
        strips.append(Strip(first, last, int(widths[at]), tuple(rows)))
        first = last
    return strips


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


def shape_within(stage: StripShapes, height: int, width: int) -> StripShape:
    """The shape a stage takes in a place of a size: the lowest of the narrowest."""
    fitting = np.flatnonzero((stage.heights <= height) & (stage.widths <= width))
    heights, widths, choices = (
        values[fitting] for values in (stage.heights, stage.widths, stage.choices)
    )
    best = np.lexsort((choices, heights, widths))[0]
    return StripShape(int(heights[best]), int(widths[best]), int(choices[best]))
