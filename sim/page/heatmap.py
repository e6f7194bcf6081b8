"""The used part of a wafer as a small heat map: regions to scale, coloured by a share per stage."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from ...compiler.plan.document import PlanDocument
from ...compiler.plan.stage_record import Rectangle
from .colours import RAMP, ramp

HEIGHT = 380.0
"""Pixels for the longer side of what is shown."""
_LEAST = 2.0
_FOOT = 46.0
_WIDTH = 240.0
"""Pixels that the colour scale needs."""


def heatmap_svg(plan: PlanDocument, shares: Sequence[float], label: str) -> str:
    """One share in [0, 1] per stage; `label` says of what. Wafers lie side by side; what is drawn
    is the smallest rectangle with all regions."""
    regions = [stage.region.on_chain(plan.grid[1]) for stage in plan.stages]
    part = _around(regions)
    scale = HEIGHT / max(part.height, part.width)
    width, height = part.width * scale, part.height * scale
    drawn = (
        _region(stage.id, region, part, share, scale, label)
        for stage, region, share in zip(plan.stages, regions, shares, strict=True)
    )
    across = max(width, _WIDTH)
    return (
        f'<svg class="heatmap" viewBox="0 0 {across + 2:.0f} {height + _FOOT:.0f}" role="img"'
        f' width="{across + 2:.0f}" aria-label="{escape(label)}">'
        f'<rect class="ground" x="1" y="1" width="{width:.1f}" height="{height:.1f}"/>'
        f"{''.join(drawn)}{_scale(across, height, label)}{_place(part, height)}</svg>"
    )


def _around(regions: Sequence[Rectangle]) -> Rectangle:
    """The smallest rectangle with all of them."""
    row, column = min(r.row for r in regions), min(r.column for r in regions)
    last_row = max(r.row + r.height for r in regions)
    last_column = max(r.column + r.width for r in regions)
    return Rectangle(row, column, last_row - row, last_column - column)


def _region(
    name: str, region: Rectangle, part: Rectangle, share: float, scale: float, label: str
) -> str:
    title = escape(f"{name}: {label} {share * 100:.0f} %")
    x, y = 1 + (region.column - part.column) * scale, 1 + (region.row - part.row) * scale
    return (
        f'<rect class="heat" x="{x:.1f}" y="{y:.1f}"'
        f' width="{max(region.width * scale, _LEAST):.1f}"'
        f' height="{max(region.height * scale, _LEAST):.1f}" fill="{ramp(share)[0]}">'
        f"<title>{title}</title></rect>"
    )


def _place(part: Rectangle, height: float) -> str:
    """Which PEs are shown."""
    rows = f"rows {part.row} to {part.row + part.height - 1}"
    columns = f"columns {part.column} to {part.column + part.width - 1}"
    return f'<text x="1" y="{height + 34:.1f}" font-size="11">{rows}, {columns}</text>'


def _scale(width: float, height: float, label: str) -> str:
    """The colour scale below the wafer."""
    name = "ramp-" + "".join(c if c.isalnum() else "-" for c in label)
    stops = "".join(
        f'<stop offset="{number / (len(RAMP) - 1)}" stop-color="rgb{colour}"/>'
        for number, colour in enumerate(RAMP)
    )
    y = height + 16
    return (
        f'<defs><linearGradient id="{name}">{stops}</linearGradient></defs>'
        f'<rect x="{width - 130:.0f}" y="{y - 5:.1f}" width="90" height="10" fill="url(#{name})"/>'
        f'<text x="1" y="{y:.1f}" dy=".35em" font-size="12">{escape(label)}</text>'
        f"{_number(width - 134, y, '0')}{_number(width, y, '100 %')}"
    )


def _number(x: float, y: float, text: str) -> str:
    place = f'x="{x:.0f}" y="{y:.1f}" dy=".35em" text-anchor="end"'
    return f'<text {place} font-size="11">{text}</text>'
