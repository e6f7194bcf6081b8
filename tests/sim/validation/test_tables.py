"""The tables of measurements: those that come with weft, and a user's own."""

from importlib import resources

import pytest
from weft.backend.errors import UserError
from weft.compiler.plan.evidence import evidence_rows
from weft.compiler.targets import load_target
from weft.sim.validation.tables import shipped_rows, user_rows
from weft.study.published import KERNELS

ROWS = {(row.set_name, row.quantity, row.settings): row for row in evidence_rows()}


EVERY = 9


@pytest.mark.parametrize(
    "entry",
    [row for row in shipped_rows() if row.kernel in KERNELS and not row.left_open][::EVERY],
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


def test_fitted_rows_exist():
    text = (resources.files("weft.sim.validation") / "fitted_rows.csv").read_text()
    assert len(text.splitlines()) - 1 == sum(row.fitted for row in shipped_rows())


@pytest.mark.parametrize(("mark", "name"), [(";", "semicolons"), ("\t", "tabs")])
def test_cells_that_no_commas_separate_are_named(tmp_path, mark, name):
    file = tmp_path / "mine.csv"
    rows = ("kernel", "p", "tile", "repeats", "cycles"), ("shift_blocking", "1", "1", "1", "121,6")
    file.write_text("".join(f"{mark.join(row)}\n" for row in rows))
    with pytest.raises(UserError) as refused:
        user_rows(file)
    assert refused.value.got == f"cells with {name} between them"
