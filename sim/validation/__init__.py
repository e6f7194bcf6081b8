"""Published measurements: tables of rows, and the report that holds them against a model.

Reading order: tables, report, trends, plot, page. study/ simulates the rows.
"""

from __future__ import annotations

from .report import ErrorSummary, MeasuredPoint, Trend, ValidationReport
from .tables import known_sets

__all__ = [
    "ErrorSummary",
    "MeasuredPoint",
    "Trend",
    "ValidationReport",
    "known_sets",
]
