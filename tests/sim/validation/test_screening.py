"""Why a row of a user's table is not simulated: what is wrong with it, in one sentence."""

from __future__ import annotations

import pytest
from weft.compiler.targets import load_target
from weft.sim.validation import known_sets
from weft.sim.validation.row import Row
from weft.sim.validation.screening import at_peak, contradiction, impossible
from weft.sim.validation.tables import TableRow, shipped_rows
from weft.study.published import KERNELS


@pytest.mark.parametrize("set_name", [name for name in known_sets() if name != "training"])
def test_no_shipped_measurement_is_faster_than_its_machine(set_name):
    for row in shipped_rows(set_name):
        if row.row.columns.get("open"):
            continue
        kernel = KERNELS[row.kernel]
        least = kernel.simulate(at_peak(load_target(kernel.target)), row.row)
        for quantity, bound in zip(kernel.measured, least, strict=True):
            if row.row.columns.get(quantity):
                assert impossible(row, quantity, row.row.number(quantity), bound) is None


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ({"sparsity": "0.5", "speedup_measured": "2.1"}, "at most 2, which 50% zeros leave"),
        ({"cycles_min": "9", "cycles_max": "8"}, "cycles_min of at most cycles_max, got 9, 8"),
        ({"cycles_avg": "9", "cycles_max": "8"}, "cycles_avg of at most cycles_max, got 9, 8"),
    ],
)
def test_numbers_that_cannot_be_true_together(columns, reason):
    assert reason in str(contradiction(TableRow("file", "any", Row("mine.csv, line 2", columns))))


def test_shipped_numbers_do_not_contradict_each_other():
    assert [contradiction(row) for row in shipped_rows()] == [None] * len(shipped_rows())
