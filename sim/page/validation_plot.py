"""The plot of a validation: every measured number against the simulated one."""

from __future__ import annotations

from collections.abc import Sequence

from ..validation.report import MeasuredPoint
from .loglog import Dot, validation_svg


def points_svg(points: Sequence[MeasuredPoint]) -> str:
    """Log-log; empty without a positive number. One colour per set."""
    dots = [
        Dot(p.measured, p.simulated, p.set_name, f"{p.set_name}, {p.settings}: {p.error:+.1%}")
        for p in points
        if p.measured > 0 and p.simulated > 0
    ]
    return validation_svg(dots) if dots else ""
