"""The rows behind error bars are those of the model as it is."""

import numpy as np
import pytest
from weft.compiler.targets import load_target
from weft.sim.validation.tables import shipped_rows
from weft.study.error_bars import held_out
from weft.study.holdout import Fitting, measured_points, with_constants


def test_constants_are_found_again_without_those_of_the_file():
    machine = load_target("wse3")
    points = [p for p in measured_points(shipped_rows("gemv_chain")) if p.set_name == "gemv_chain"]
    name = ("software.library_call_cycles",)
    predicted = [
        held_out(Fitting(with_constants(machine, name, np.array([value]))), points, [])
        for value in (450.0, 700.0)
    ]
    assert predicted[0] == pytest.approx(predicted[1], rel=1e-3)
    assert predicted[0] == pytest.approx([p.value for p in points], rel=0.05)
