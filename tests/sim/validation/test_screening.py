"""Why a row of a user's table is not simulated: what is wrong with it, in one sentence."""

from __future__ import annotations

import pytest
from weft.compiler.targets import load_target
from weft.sim.validation import known_sets
from weft.sim.validation.screening import at_peak, impossible
from weft.sim.validation.tables import shipped_rows
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
