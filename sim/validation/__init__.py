"""Published measurements against the simulator, row by row."""

from __future__ import annotations

from .report import Point, Summary, Trend, ValidationReport
from .tables import known_sets
from .validate import measured_on, validate

__all__ = [
    "Point",
    "Summary",
    "Trend",
    "ValidationReport",
    "known_sets",
    "measured_on",
    "validate",
]
