"""Colours of the report's pictures, readable on light and dark pages."""

from __future__ import annotations

from itertools import pairwise

RAMP = ((68, 1, 84), (59, 82, 139), (33, 145, 140), (94, 201, 98), (253, 231, 37))
"""viridis at 0, 25, 50, 75 and 100 %."""


def ramp(share: float) -> tuple[str, str]:
    """Fill for a share in [0, 1] and the text colour that is readable on it."""
    at = min(max(share, 0.0), 1.0) * (len(RAMP) - 1)
    low, high = list(pairwise(RAMP))[min(int(at), len(RAMP) - 2)]
    part = at - min(int(at), len(RAMP) - 2)
    red, green, blue = (round(a + (b - a) * part) for a, b in zip(low, high, strict=True))
    fill = f"#{red:02x}{green:02x}{blue:02x}"
    return fill, max("#000000", "#ffffff", key=lambda text: contrast(fill, text))


def contrast(one: str, other: str) -> float:
    """Of two colours '#rrggbb', 1 to 21: Web Content Accessibility Guidelines 2.1, 1.4.3."""
    darker, lighter = sorted(map(_luminance, (one, other)))
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: str) -> float:
    shares = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    linear = (s / 12.92 if s <= 0.04045 else ((s + 0.055) / 1.055) ** 2.4 for s in shares)
    red, green, blue = linear
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
