"""The wafer as a picture: every stage's region to scale, coloured by utilisation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..document import PlanDocument
from ..stage_record import Rectangle, StageRecord, stages_by_region
from .colours import ramp
from .svg import colour_scale, picture, text, tooltip

HEIGHT = 860.0
"""Pixels for the longer side of the wafer."""
MARGIN = 44.0
GAP = 24.0
"""Pixels between two wafers of a chain."""
LEAST = 3.0
"""Smaller regions are drawn this many pixels wide and high, so that they can be seen."""
LABEL = 8.5
"""Smallest font in pixels; a region too small for it gets its number in the margin."""
_GLYPH = 0.62
_TITLE = 14.0
"""Font of the heading in pixels."""
_LINE = 11.0
"""Pixels between two numbers in a margin."""
_INSET = 130.0
"""Pixels for the longer side of a wafer that is drawn small."""
_MOST = 0.7
"""Share of a wafer above which its used part is not worth a picture of its own."""
STYLE = (
    ".floorplan text{font-family:system-ui,sans-serif;fill:#333}"
    ".floorplan .wafer{fill:#eceef1;stroke:#8a8f98}"
    ".floorplan .region{stroke:#20242a;stroke-width:.8}"
    ".floorplan .line{stroke:#8a8f98;stroke-width:.7;fill:none}"
    "@media(prefers-color-scheme:dark){.floorplan text{fill:#d5d8de}"
    ".floorplan .wafer{fill:#22262d}}"
)


@dataclass(frozen=True)
class _Box:
    """A region in pixels, with its first stage and all that share it."""

    stages: tuple[StageRecord, ...]
    x: float
    y: float
    width: float
    height: float

    @property
    def stage(self) -> StageRecord:
        return self.stages[0]

    @property
    def label(self) -> str:
        """The numbers of its stages."""
        return "+".join(str(stage.index) for stage in self.stages)

    @property
    def centre(self) -> tuple[float, float]:
        return self.x + self.width / 2, self.y + self.height / 2

    @property
    def font(self) -> float:
        """The font size that fits the label into the box."""
        digits = len(self.label)
        return min(self.width * 0.8 / (digits * _GLYPH), self.height * 0.85, 18.0)


def floorplan_svg(
    plan: PlanDocument,
    utilisation: Sequence[float] | None = None,
    part: Rectangle | None = None,
) -> str:
    """A self-contained SVG of the wafer with all stages, numbered, and a colour scale.

    `utilisation` is one share per stage in [0, 1]; without it, a stage's cycles over the initiation
    interval in the plan's totals. Hovering over a region shows its name and numbers. With `part`
    only that rectangle of a plan's one wafer is drawn.
    """
    interval = max(plan.totals.initiation_interval_cycles, 1)
    shares = utilisation or [_share(stage, interval) for stage in plan.stages]
    part = part or Rectangle(0, 0, *plan.grid)
    scale = HEIGHT / max(part.height, part.width)
    one, height = part.width * scale, part.height * scale
    width = plan.totals.wafers_used * (one + GAP) - GAP
    regions = stages_by_region(plan.stages)
    boxes = [_box(stages, part, scale, one + GAP) for stages in regions]
    shares = [min(1.0, sum(shares[stage.index] for stage in stages)) for stages in regions]
    parts = [
        *(_wafer(number, one, height) for number in range(plan.totals.wafers_used)),
        *(_region(box, share) for box, share in zip(boxes, shares, strict=True)),
        *(_number(box, share) for box, share in zip(boxes, shares, strict=True)),
        *_callouts([box for box in boxes if box.font < LABEL], width, height),
        text(MARGIN, MARGIN / 2, _heading(plan, part), "start", _TITLE),
        _scale(width, height),
    ]
    wide = len(_heading(plan, part)) * _GLYPH * _TITLE
    across, down = round(max(width, wide) + 2 * MARGIN), round(height + 2 * MARGIN + 6)
    label = f"Floorplan of {plan.model} on {plan.target}"
    attributes = (
        f'class="floorplan" xmlns="http://www.w3.org/2000/svg" width="{across}" height="{down}"'
    )
    body = f"<style>{STYLE}</style>{''.join(parts)}"
    return picture(across, down, body, label, attributes)


def inset_svg(plan: PlanDocument, part: Rectangle) -> str:
    """A wafer with its regions, small, and a frame around the part that is shown elsewhere."""
    scale = _INSET / max(plan.grid)
    height, width = (size * scale for size in plan.grid)
    drawn = [(stage.region, "used") for stage in plan.stages] + [(part, "frame")]
    body = f'<rect class="ground" width="{width:.1f}" height="{height:.1f}"/>' + "".join(
        f'<rect class="{kind}" x="{r.column * scale:.1f}" y="{r.row * scale:.1f}"'
        f' width="{max(r.width * scale, 1):.1f}" height="{max(r.height * scale, 1):.1f}"/>'
        for r, kind in drawn
    )
    attributes = f'class="inset" width="{width:.0f}" height="{height:.0f}"'
    return picture(width, height, body, f"The part of {plan.target} that is used", attributes)


def used_part(plan: PlanDocument) -> Rectangle | None:
    """The smallest rectangle with all regions; None for a chain of wafers, or most of a wafer."""
    part = around([stage.region for stage in plan.stages])
    is_most = part.height * part.width > _MOST * math.prod(plan.grid)
    return None if plan.totals.wafers_used > 1 or is_most else part


def around(regions: Sequence[Rectangle]) -> Rectangle:
    """The smallest rectangle with all of them."""
    row, column = min(r.row for r in regions), min(r.column for r in regions)
    last_row = max(r.row + r.height for r in regions)
    last_column = max(r.column + r.width for r in regions)
    return Rectangle(row, column, last_row - row, last_column - column)


def _wafer(number: int, width: float, height: float) -> str:
    x = MARGIN + number * (width + GAP)
    size = f'width="{width:.1f}" height="{height:.1f}"'
    return f'<rect class="wafer" x="{x:.1f}" y="{MARGIN:.1f}" {size}/>'


def _box(stages: tuple[StageRecord, ...], part: Rectangle, scale: float, step: float) -> _Box:
    """`step` is the distance of two wafers in pixels."""
    region = stages[0].region
    return _Box(
        stages,
        MARGIN + region.wafer * step + (region.column - part.column) * scale,
        MARGIN + (region.row - part.row) * scale,
        max(region.width * scale, LEAST),
        max(region.height * scale, LEAST),
    )


def _share(stage: StageRecord, interval: float) -> float:
    """Of the stage's PEs, in the mean over its regions, at work."""
    return stage.pe_cycles / (stage.region.area * interval)


def _region(box: _Box, share: float) -> str:
    region = box.stage.region
    cycles = " + ".join(f"{one.pace_cycles:,}" for one in box.stages)
    title = (
        f"{', '.join(one.id for one in box.stages)}\n{region.height} x {region.width} PEs at row"
        f" {region.row}, column {region.column}\n{cycles} cycles per sample,"
        f" {share * 100:.0f} % busy"
    )
    numbers = " ".join(str(one.index) for one in box.stages)
    return (
        f'<rect class="region" data-stage="{numbers}" x="{box.x:.1f}" y="{box.y:.1f}"'
        f' width="{box.width:.1f}" height="{box.height:.1f}" fill="{ramp(share)[0]}">'
        f"{tooltip(title)}</rect>"
    )


def _number(box: _Box, share: float) -> str:
    if box.font < LABEL:
        return ""
    return text(
        *box.centre,
        box.label,
        size=round(box.font, 1),
        attributes=f'style="fill:{ramp(share)[1]}"',
    )


def _callouts(boxes: list[_Box], width: float, height: float) -> list[str]:
    """Numbers of small regions in the nearer margin, spread so that they do not overlap.

    Where there are too many for a margin, the smallest regions have none.
    """
    room = max(int(height / _LINE), 1)
    left = [box for box in boxes if box.centre[0] < MARGIN + width / 2]
    right = [box for box in boxes if box.centre[0] >= MARGIN + width / 2]
    sides = ((left, MARGIN, -1), (right, MARGIN + width, 1))
    return [
        _callout(box, at, edge, direction)
        for side, edge, direction in sides
        for box, at in _spread(_evenly(side, room), height)
    ]


def _evenly(boxes: list[_Box], most: int) -> list[_Box]:
    """At most so many of them: the largest, of equally large ones some from top to bottom."""
    if len(boxes) <= most:
        return boxes
    least = sorted((box.stage.region.area for box in boxes), reverse=True)[most - 1]
    larger = [box for box in boxes if box.stage.region.area > least]
    equal = [box for box in boxes if box.stage.region.area == least]
    equal.sort(key=lambda box: (box.centre[1], box.stage.index))
    places = np.linspace(0, len(equal) - 1, most - len(larger))
    return larger + [equal[round(at)] for at in places.tolist()]


def _spread(boxes: list[_Box], height: float) -> list[tuple[_Box, float]]:
    """Every box with the height of its number: its own, or the next free one below or above."""
    ordered = sorted(boxes, key=lambda box: (box.centre[1], box.stage.index))
    step = min(_LINE, height / max(len(ordered), 1))
    heights: list[float] = []
    for box in ordered:
        heights.append(max(box.centre[1], heights[-1] + step if heights else MARGIN))
    limit = MARGIN + height
    for number in range(len(heights) - 1, -1, -1):
        heights[number] = min(heights[number], limit)
        limit = heights[number] - step
    return list(zip(ordered, heights, strict=True))


def _callout(box: _Box, at: float, edge: float, direction: int) -> str:
    x, y = box.centre
    bend, end = edge + 4 * direction, edge + 14 * direction
    anchor = "end" if direction < 0 else "start"
    return f'<path class="line" d="M{x:.1f} {y:.1f}L{bend:.1f} {at:.1f}H{end:.1f}"/>' + text(
        end + 3 * direction, at, box.label, anchor
    )


def _heading(plan: PlanDocument, part: Rectangle) -> str:
    share = plan.totals.wafer_share * 100
    shown = f"{part.height} x {part.width} PEs"
    shown = shown if part.height * part.width == math.prod(plan.grid) else f"{shown} of the wafer"
    return f"{plan.model} on {plan.target}: {shown}, {share:.1f} % used"


def _scale(width: float, height: float) -> str:
    """The colour scale below the wafer, 0 to 100 % busy."""
    y, length = MARGIN + height + 14, min(max(width * 0.5, 60.0), 220.0)
    return (
        colour_scale("busy", MARGIN + 58, y, length)
        + text(MARGIN, y + 5, "busy: 0 %", "start", 11)
        + text(MARGIN + 64 + length, y + 5, "100 %", "start", 11)
    )
