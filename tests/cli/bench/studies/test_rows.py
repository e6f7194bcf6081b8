"""Rows are told and written as they come, and shown as JSON or as a table."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from weft.cli.bench.studies.rows import collected, print_rows


@dataclass(frozen=True)
class Row:
    name: str
    loss: float


def test_the_page_holds_the_rows_so_far_when_a_run_stops(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    def rows() -> Iterator[Row]:
        yield Row("a", 1.0)
        yield Row("b", 2.0)
        raise KeyboardInterrupt

    page = tmp_path / "page.md"
    with pytest.raises(KeyboardInterrupt):
        collected(rows(), lambda row: row.name, page, lambda rows: f"{len(rows)} rows")
    assert page.read_text() == "2 rows"
    assert capsys.readouterr().err == "  a\n  b\n"


def test_rows_are_json_or_a_table_below_its_heading(capsys: pytest.CaptureFixture) -> None:
    rows = [Row("a", 1.0)]
    print_rows(rows, "a study", lambda rows: (["name"], [[row.name] for row in rows]), True)
    assert json.loads(capsys.readouterr().out) == {"rows": [{"name": "a", "loss": 1.0}]}
    print_rows(rows, "a study", lambda rows: (["name"], [[row.name] for row in rows]), False)
    assert capsys.readouterr().out.splitlines()[0] == "a study"
