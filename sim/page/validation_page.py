"""A validation as one HTML page, without network."""

from __future__ import annotations

from pathlib import Path

from ...compiler.plan.atomic_output import staged_file
from ..validation.report import ValidationReport
from .page import render
from .validation_plot import points_svg


def validation_html(report: ValidationReport) -> str:
    """The page as text. Raises UserError if jinja2 is missing."""
    fitted = sum(point.fitted for point in report.points)
    plot = points_svg(report.points)
    return render("validation.html", report=report, fitted=fitted, plot=plot)


def write_validation(report: ValidationReport, path: str | Path) -> None:
    """Write the page, under a temporary name until it is complete.

    Raises UserError if jinja2 or the folder is missing, OSError if the file cannot be written.
    """
    with staged_file(path) as file:
        file.write(validation_html(report))
