"""The wafer as a small heat map: every region to scale, coloured by one share per stage."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from ..compiler.plan.document import PlanDocument, StageRecord
from .colours import RAMP, ramp

HEIGHT = 380.0
"""Pixels for the longer side of the wafer."""
_LEAST = 2.0
_FOOT = 30.0


def heatmap_svg(plan: PlanDocument, shares: Sequence[float], label: str) -> str:
    """One share in [0, 1] per stage; `label` says of what."""
    rows, columns = plan.grid
    scale = HEIGHT / max(rows, columns)
    width, height = columns * scale, rows * scale
    regions = (
        _region(stage, share, scale, label)
        for stage, share in zip(plan.stages, shares, strict=True)
    )
    return (
        f'<svg class="heatmap" viewBox="0 0 {width + 2:.0f} {height + _FOOT:.0f}" role="img"'
        f' width="{width + 2:.0f}" aria-label="{escape(label)}">'
        f'<rect class="ground" x="1" y="1" width="{width:.1f}" height="{height:.1f}"/>'
        f"{''.join(regions)}{_scale(width, height, label)}</svg>"
    )


def _region(stage: StageRecord, share: float, scale: float, label: str) -> str:
    region = stage.region
    title = escape(f"{stage.id}: {label} {share * 100:.0f} %")
    return (
        f'<rect class="heat" x="{1 + region.column * scale:.1f}" y="{1 + region.row * scale:.1f}"'
        f' width="{max(region.width * scale, _LEAST):.1f}"'
        f' height="{max(region.height * scale, _LEAST):.1f}" fill="{ramp(share)[0]}">'
        f"<title>{title}</title></rect>"
    )


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
