"""What a validation yields: a point per measured number, a summary per set, trends, omissions."""

from dataclasses import replace

from weft.compiler.plan.evidence import evidence_rows
from weft.sim.validation.report import ValidationReport
from weft.study import validate as module


def test_rows_of_another_model_are_told(monkeypatch):
    rows = tuple(
        replace(row, predicted=1.1 * row.predicted) if row.set_name == "summa" else row
        for row in evidence_rows()
    )
    monkeypatch.setattr(module, "evidence_rows", lambda: rows)
    points = module.validate("summa").points
    report = module.with_error_bars(ValidationReport(points, (), (), (), whole=False))
    assert report.stale == 4
    assert not report.passed
    assert [run.set_name for run in report.whole_plans] == ["training"]
