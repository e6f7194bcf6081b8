"""How far a predicted figure may be off: error bars from the measured rows behind its mechanisms.

Reading order: mechanisms (what a figure's cycles are spent on), rows (measured numbers beside their
predictions), calibration (from their errors to an interval), coverage (how often it was right),
figure, of_plan. docs/error-bars.md says how the interval is made and what it was found to cover.
"""

from __future__ import annotations

from .calibration import Calibration, calibration
from .coverage import Coverage, coverage
from .figure import Figure, Term, bar_text
from .of_plan import PlanFigures, energy_of, figures_of
from .rows import EvidenceRow, evidence_rows, kernel_rows

__all__ = [
    "Calibration",
    "Coverage",
    "EvidenceRow",
    "Figure",
    "PlanFigures",
    "Term",
    "bar_text",
    "calibration",
    "coverage",
    "energy_of",
    "evidence_rows",
    "figures_of",
    "kernel_rows",
]
