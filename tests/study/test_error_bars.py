"""The rows behind error bars are those of the model as it is."""

from dataclasses import replace

import numpy as np
import pytest
from weft.compiler.plan.evidence import evidence_rows
from weft.compiler.targets import load_target
from weft.sim.validation.report import ValidationReport
from weft.sim.validation.tables import shipped_rows
from weft.study import validate as module
from weft.study.error_bars import held_out
from weft.study.holdout import measured_points, with_constants
from weft.study.published import KERNELS

ROWS = {(row.set_name, row.quantity, row.settings): row for row in evidence_rows()}
EVERY = 9


@pytest.mark.parametrize(
    "entry",
    [row for row in shipped_rows() if row.kernel in KERNELS][::EVERY],
    ids=lambda row: row.row.where,
)
def test_they_are_predicted_as_now(entry):
    kernel = KERNELS[entry.kernel]
    figures = kernel.figures(load_target(kernel.target), entry.row)
    for quantity, figure in zip(kernel.measured, figures, strict=True):
        if entry.row.columns.get(quantity):
            row = ROWS[entry.set_name, quantity, entry.settings(kernel.measured)]
            assert figure.value == pytest.approx(row.predicted, rel=1e-6)
            terms = {name: share for name, share in figure.terms.items() if share > 5e-4}
            assert terms == pytest.approx(row.terms, abs=1e-3)


def test_constants_are_found_again_without_those_of_the_file():
    machine = load_target("wse3")
    points = [p for p in measured_points(shipped_rows("gemv_chain")) if p.set_name == "gemv_chain"]
    name = ("software.library_call_cycles",)
    predicted = [
        held_out(with_constants(machine, name, np.array([value])), points, [])
        for value in (450.0, 700.0)
    ]
    assert predicted[0] == pytest.approx(predicted[1], rel=1e-3)
    assert predicted[0] == pytest.approx([p.value for p in points], rel=0.05)


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
