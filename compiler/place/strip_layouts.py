"""Layouts of the stages in strips, for an interval: every stage in a choice that is fast enough.

before: strips, of stages by number      after: rectangles from left to right, wafer by wafer
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import takewhile

import numpy as np

from ..mapping.choices import Kernels, PlacedStage, Placement, Sizes
from ..plan.stage_record import Rectangle
from ..targets.target import Target
from .shift import shifted
from .strips import Row, Strip, StripShapes, partition, partitions, shape_within, wafers_of

_HEIGHT_WEIGHTS = (0.0, 0.01, 0.05, 0.2, 1.0)
"""The next packing for one of these is made as long as the one before fits."""


def placements(kernels: Kernels, interval: int, sharing: int = 1) -> list[Placement]:
    """Packings of the choices that take at most `interval`, with their streams if `sharing` of them
    share links, where a stage has such; some moved past slow cores."""
    target, shapes = kernels.target, shapes_within(kernels, interval, sharing)
    grid = target.rows, target.columns
    packings = takewhile(
        lambda strips: strips is not None and wafers_taken(strips, target) <= target.wafers,
        partitions(shapes, *grid, _HEIGHT_WEIGHTS, kernels.abreast),
    )
    return [
        moved
        for strips in dict.fromkeys(packings)
        if strips is not None
        for moved in shifted(_lay_out(kernels, shapes, strips))
    ]


def shapes_within(kernels: Kernels, interval: float, sharing: int = 1) -> list[StripShapes]:
    """The shapes of every stage; stages that share their sizes share them, too."""
    found: dict[int, StripShapes] = {}
    for stage in kernels.stages:
        key = id(stage.sizes.interval_cycles)
        if key not in found:
            found[key] = _fast_enough(stage.sizes, interval, sharing, kernels.features_on_columns)
    return [found[id(stage.sizes.interval_cycles)] for stage in kernels.stages]


def narrowest(kernels: Kernels, shapes: Sequence[StripShapes]) -> tuple[Strip, ...] | None:
    """The strips of least total width; None if a stage fits none."""
    grid = kernels.target.rows, kernels.target.columns
    return partition(shapes, *grid, abreast=kernels.abreast)


def wafers_taken(strips: Sequence[Strip], target: Target) -> int:
    """Wafers of the chain that strips lie on."""
    return wafers_of(strips, target.columns)[-1] + 1 if strips else 0


def _fast_enough(
    sizes: Sizes, interval: float, sharing: int, features_on_columns: bool
) -> StripShapes:
    """As they are and, unless features lie on columns, turned: links are alike in both
    directions."""
    is_fast = sizes.interval_cycles <= interval
    streams = is_fast & (sharing * sizes.stream_cycles <= interval)
    numbers = np.flatnonzero(streams if streams.any() else is_fast)
    sides = sizes.heights[numbers], sizes.widths[numbers]
    if features_on_columns:
        return StripShapes(*sides, numbers)
    heights, widths = (np.concatenate(both) for both in (sides, sides[::-1]))
    return StripShapes(heights, widths, np.concatenate((numbers, numbers)))


def _lay_out(kernels: Kernels, shapes: Sequence[StripShapes], strips: Sequence[Strip]) -> Placement:
    """Strips left to right, wafer by wafer; the pipeline runs down one and up the next."""
    placed: list[PlacedStage] = []
    row, column, wafer, downwards = 0, 0, 0, True
    for strip, own in zip(strips, wafers_of(strips, kernels.target.columns), strict=True):
        column, wafer = (column, own) if own == wafer else (0, own)
        stack = sum(one.height for one in strip.rows)
        rows = kernels.target.rows
        row = min(row, rows - stack) if downwards else max(row, stack)
        turns = 0
        for one in strip.rows:
            top = row if downwards else row - one.height
            place = Rectangle(top, column, one.height, strip.width, wafer)
            placed += _abreast(kernels, shapes, one, place, downwards, turns % 2 == 0)
            row += one.height if downwards else -one.height
            turns += one.last - one.first > 1
        column += strip.width
        downwards = not downwards
    return Placement(kernels.target, tuple(sorted(placed, key=lambda one: one.stage)))


def _abreast(
    kernels: Kernels,
    shapes: Sequence[StripShapes],
    row: Row,
    place: Rectangle,
    at_top: bool,
    rightwards: bool,
) -> Iterator[PlacedStage]:
    """The stages of a row at the left of its place, one after the other to the right, or from the
    right to the left."""
    stages, column = range(row.first, row.last), place.column
    for stage in stages if rightwards else reversed(stages):
        shape = shape_within(shapes[stage], place.height, place.width)
        top = place.row + (0 if at_top else place.height - shape.height)
        region = Rectangle(top, column, shape.height, shape.width, place.wafer)
        yield from kernels.stages[stage].placed(shape.choice, region)
        column += shape.width
