"""Every measured number against the simulated one, as a plot."""

from __future__ import annotations

from collections.abc import Sequence

from ...compiler.plan.evidence import EvidenceRow
from ..validation.report import MeasuredPoint
from .loglog import Dot, validation_svg


def points_svg(points: Sequence[MeasuredPoint]) -> str:
    """Of a validation: log-log; empty without a positive number. One colour per set."""
    return _plot([_dot(p, p.simulated) for p in points if p.measured > 0 and p.simulated > 0])


def rows_svg(rows: Sequence[EvidenceRow]) -> str:
    """The same of rows that come with weft."""
    return _plot([_dot(row, row.predicted) for row in rows])


def _dot(of: MeasuredPoint | EvidenceRow, simulated: float) -> Dot:
    return Dot(
        of.measured, simulated, of.set_name, f"{of.set_name}, {of.settings}: {of.error:+.1%}"
    )


def _plot(dots: list[Dot]) -> str:
    return validation_svg(dots) if dots else ""
