"""An explanation as one HTML page, without network."""

from __future__ import annotations

from pathlib import Path

from ...compiler.plan.atomic_output import staged_file
from ...sim.page.page import render
from .explanation import Explanation
from .text import SENSITIVITY_COLUMNS, fall_columns, fall_rows, sensitivity_rows, verdict


def page_of(found: Explanation) -> str:
    """The page as text. Raises UserError if jinja2 is missing."""
    tables: list[tuple[str, str, tuple[str, ...], list[tuple[object, ...]]]] = [
        (f"More PEs for {fall.stage}", verdict(fall), fall_columns(fall), fall_rows(fall))
        for fall in found.falls
    ]
    other = "Every time the stages are mapped and placed anew."
    rows = sensitivity_rows(found.rows)
    tables.append(("Other machines", other, SENSITIVITY_COLUMNS, rows))
    return render("explain.html", found=found, tables=tables)


def write_page(found: Explanation, path: str | Path) -> None:
    """Write the page, under a temporary name until it is complete."""
    with staged_file(path) as file:
        file.write(page_of(found))
