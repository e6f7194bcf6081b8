"""Parts of SVG pictures that all charts are made of: a frame, text, a tooltip, a colour scale."""

from __future__ import annotations

from html import escape

from .colours import RAMP

FONT = 10.5
"""Pixels, of numbers at axes."""


def picture(width: float, height: float, body: str, label: str, attributes: str = "") -> str:
    """An SVG of so many units; `label` is read to those who do not see it."""
    return (
        f'<svg {attributes} viewBox="0 0 {width:.0f} {height:.0f}" role="img"'
        f' aria-label="{escape(label)}">{body}</svg>'
    )


def text(
    x: float,
    y: float,
    content: object,
    anchor: str = "middle",
    size: float = FONT,
    attributes: str = "",
) -> str:
    """Text whose middle line is at y; `anchor` is start, middle or end."""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" dy=".35em" text-anchor="{anchor}" font-size="{size:g}"'
        f" {attributes}>{escape(str(content))}</text>"
    )


def tooltip(content: str) -> str:
    """What is shown while the pointer is on the element that this stands in."""
    return f"<title>{escape(content)}</title>"


def axis(path: str) -> str:
    """A thin line."""
    return f'<path class="axis" d="{path}"/>'


def colour_scale(name: str, x: float, y: float, width: float, height: float = 10) -> str:
    """A bar with the colours of 0 to 100 %; `name` tells it from others of the page."""
    stops = "".join(
        f'<stop offset="{number / (len(RAMP) - 1)}" stop-color="rgb{colour}"/>'
        for number, colour in enumerate(RAMP)
    )
    name = "ramp-" + "".join(c if c.isalnum() else "-" for c in name)
    place = f'x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}"'
    return (
        f'<defs><linearGradient id="{name}">{stops}</linearGradient></defs>'
        f'<rect {place} fill="url(#{name})"/>'
    )
