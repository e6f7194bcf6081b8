"""The rows that error bars are made from, as they come with weft."""

import io
from importlib import resources

import pytest
from weft.compiler.plan.evidence import Calibration, evidence_rows, kernel_rows
from weft.compiler.plan.evidence.mechanisms import CONSTANTS, WHOLE_PLAN
from weft.compiler.plan.evidence.rows import write_rows
from weft.compiler.targets import load_target
from weft.sim.validation.tables import shipped_rows

RATES = ("speedup_measured", "samples_per_s")


def test_terms_are_known_mechanisms_and_add_up():
    for row in evidence_rows():
        assert set(row.terms) <= set(CONSTANTS)
        parts = [share for name, share in row.terms.items() if name != WHOLE_PLAN]
        assert sum(parts) == pytest.approx(1, abs=0.003)
        assert (WHOLE_PLAN in row.terms) == (row.set_name == "training")


def test_what_is_written_is_what_is_read():
    text = io.StringIO()
    write_rows(evidence_rows(), text)
    shipped = resources.files("weft.compiler.plan.evidence") / "rows.csv"
    assert text.getvalue() == shipped.read_text()


def test_every_measured_number_of_the_tables_is_there():
    known = {(row.set_name, row.settings, row.measured) for row in evidence_rows()}
    for entry in shipped_rows():
        columns = entry.row.columns
        if columns.get("mode") == "weight-streaming" or columns.get("open"):
            continue
        measured = {
            float(value)
            for name, value in columns.items()
            if value
            and (name.startswith("cycles") or name in ("speedup_measured", "samples_per_s"))
        }
        found = {value for name, _, value in known if name == entry.set_name}
        assert measured
        assert measured <= found, entry.row.where


def test_the_constants_of_mechanisms_exist():
    names = {constant.name for constant in load_target("wse3").constants()}
    dotted = {name.replace("compute.float16.", "compute.") for name in names}
    for mechanism, constants in CONSTANTS.items():
        assert set(constants) & dotted or mechanism == WHOLE_PLAN
    assert Calibration(evidence_rows()).quantile < 0.05


def test_kernels_of_a_machine_are_its_rows_without_whole_networks():
    for target in ("wse2", "wse3"):
        rows = kernel_rows(target)
        assert {row.target for row in rows} == {target}
        assert {row.unit for row in rows if row.set_name != "sparse_speedup"} == {"cycles"}
    assert len(kernel_rows("wse2")) + len(kernel_rows("wse3")) + 1 == len(evidence_rows())
