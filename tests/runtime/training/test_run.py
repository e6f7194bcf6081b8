"""A run as records: what is asked for is what `weft.train` asks for, and nothing can be changed."""

from __future__ import annotations

import numpy as np
import pytest
import weft
from helpers.short_runs import short_data, short_plan
from weft.compiler.plan.plan import Plan
from weft.runtime.data import Dataset
from weft.runtime.training.run import Run, phase_name


@pytest.fixture(scope="module")
def plan() -> Plan:
    return short_plan()


@pytest.fixture(scope="module")
def data() -> Dataset:
    return short_data()


def test_a_run_is_what_weft_train_does(plan: Plan, data: Dataset) -> None:
    own = Run(plan, data, ("epochs=2",), executor="reference").train()
    same = weft.train(plan, data, epochs=2, executor="reference")
    assert np.array_equal(own.losses, same.losses)
    assert len(own.losses) == 32


def test_directories_of_phases_count_from_one() -> None:
    assert [phase_name(number) for number in range(2)] == ["phase-1", "phase-2"]
