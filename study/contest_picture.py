"""A scored placement as a picture: rectangles to scale, named, and the connections."""

from __future__ import annotations

import colorsys

from ..compiler.plan.picture.svg import text, tooltip
from .contest_score import ContestScore, PlacedRectangle

_PIXELS = 900


def picture(score: ContestScore) -> str:
    """A self-contained SVG; hovering over a rectangle shows its size, place and time."""
    scale = _PIXELS / max(score.columns, score.rows)
    size = f'width="{score.columns * scale:g}" height="{score.rows * scale:g}"'
    count = len(score.rectangles)
    drawn = [_drawn(one, score.rows, k / count) for k, one in enumerate(score.rectangles)]
    lines = [
        _line(score.rectangles[a], score.rectangles[b], score.rows) for a, b in score.connections
    ]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} '
            f'viewBox="0 0 {score.columns} {score.rows}" font-family="system-ui,sans-serif">',
            f'<rect width="{score.columns}" height="{score.rows}" fill="#eceef1"/>',
            *drawn,
            *lines,
            "</svg>\n",
        ]
    )


def _drawn(one: PlacedRectangle, rows: int, hue: float) -> str:
    colour = "#" + "".join(f"{int(255 * part):02x}" for part in colorsys.hsv_to_rgb(hue, 0.35, 1))
    x, y = one.x, rows - one.y - one.height
    font = min(14.0, max(3.0, 0.3 * min(one.width, one.height)))
    title = f"{one.name}: {one.width} x {one.height} at ({one.x}, {one.y}), {float(one.time):g}"
    return (
        f'<rect x="{x}" y="{y}" width="{one.width}" height="{one.height}" fill="{colour}" '
        f'stroke="#20242a" stroke-width="0.6">{tooltip(title)}</rect>'
        + text(x + one.width / 2, y + one.height / 2, one.name, size=round(font, 1))
    )


def _line(one: PlacedRectangle, other: PlacedRectangle, rows: int) -> str:
    ends = [(r.x + r.width / 2, rows - r.y - r.height / 2) for r in (one, other)]
    (x1, y1), (x2, y2) = ends
    return (
        f'<line x1="{x1:g}" y1="{y1:g}" x2="{x2:g}" y2="{y2:g}" stroke="#b3261e" '
        'stroke-width="0.8" opacity="0.6"/>'
    )
