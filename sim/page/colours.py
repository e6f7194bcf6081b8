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
    bright = 0.299 * red + 0.587 * green + 0.114 * blue > 120
    return f"#{red:02x}{green:02x}{blue:02x}", "#111111" if bright else "#ffffff"
