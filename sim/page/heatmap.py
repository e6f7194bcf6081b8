"""The used part of a wafer as a small heat map: regions to scale, coloured by a share per stage."""

from __future__ import annotations

from collections.abc import Sequence

from ...compiler.plan.document import PlanDocument
from ...compiler.plan.picture.colours import ramp
from ...compiler.plan.picture.floorplan import around
from ...compiler.plan.picture.svg import colour_scale, picture, text, tooltip
from ...compiler.plan.stage_record import Rectangle, stages_by_region

HEIGHT = 380.0
"""Pixels for the longer side of what is shown."""
_LEAST = 2.0
_FOOT = 46.0
_WIDTH = 240.0
"""Pixels that the colour scale needs."""


def heatmap_svg(plan: PlanDocument, shares: Sequence[float], label: str) -> str:
    """One share in [0, 1] per stage, added up for a region of several; `label` says of what. Wafers
    lie side by side; what is drawn is the smallest rectangle with all regions."""
    users = stages_by_region(plan.stages)
    regions = [stages[0].region.on_chain(plan.grid[1]) for stages in users]
    part = around(regions)
    scale = HEIGHT / max(part.height, part.width)
    width, height = part.width * scale, part.height * scale
    drawn = (
        _region(
            " + ".join(stage.id for stage in stages),
            region,
            part,
            min(1.0, sum(shares[stage.index] for stage in stages)),
            scale,
            label,
        )
        for stages, region in zip(users, regions, strict=True)
    )
    across = max(width, _WIDTH)
    ground = f'<rect class="ground" x="1" y="1" width="{width:.1f}" height="{height:.1f}"/>'
    body = f"{ground}{''.join(drawn)}{_scale(across, height, label)}{_place(part, height)}"
    attributes = f'class="heatmap" width="{across + 2:.0f}"'
    return picture(across + 2, height + _FOOT, body, label, attributes)


def _region(
    name: str, region: Rectangle, part: Rectangle, share: float, scale: float, label: str
) -> str:
    x, y = 1 + (region.column - part.column) * scale, 1 + (region.row - part.row) * scale
    return (
        f'<rect class="heat" x="{x:.1f}" y="{y:.1f}"'
        f' width="{max(region.width * scale, _LEAST):.1f}"'
        f' height="{max(region.height * scale, _LEAST):.1f}" fill="{ramp(share)[0]}">'
        f"{tooltip(f'{name}: {label} {share * 100:.0f} %')}</rect>"
    )


def _place(part: Rectangle, height: float) -> str:
    """Which PEs are shown."""
    rows = f"rows {part.row} to {part.row + part.height - 1}"
    columns = f"columns {part.column} to {part.column + part.width - 1}"
    return text(1, height + 34, f"{rows}, {columns}", "start")


def _scale(width: float, height: float, label: str) -> str:
    """The colour scale below the wafer."""
    y = height + 16
    return (
        colour_scale(label, width - 130, y - 5, 90)
        + text(1, y, label, "start", 12)
        + text(width - 134, y, "0", "end")
        + text(width, y, "100 %", "end")
    )
