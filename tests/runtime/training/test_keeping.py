"""What a run keeps on disk, and the checkpoint that it goes on from."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from pathlib import Path

import numpy as np
import pytest
from helpers.short_runs import short_data, short_plan
from weft.backend.errors import UserError
from weft.compiler.plan.plan import Plan
from weft.runtime.data import Dataset
from weft.runtime.training.keeping import Keeping
from weft.runtime.training.reporting import Reporting
from weft.runtime.training.run import Run


@pytest.fixture(scope="module")
def plan() -> Plan:
    return short_plan()


@pytest.fixture(scope="module")
def data() -> Dataset:
    return short_data()


def test_a_kept_run_goes_on_where_it_ended(plan: Plan, data: Dataset, tmp_path: Path) -> None:
    settings = ("epochs=2",)
    whole = Run(plan, data, settings, executor="reference").train()
    keeping = Keeping(checkpoint=tmp_path / "run", every=8, keep=9)
    Run(plan, data, settings, executor="reference", keeping=keeping).train()
    begun = sorted((tmp_path / "run").glob("*-*"))
    half = next(path for path in begun if path.name.endswith("16"))
    again = Run(plan, data, settings, keeping=Keeping(resume=half)).train()
    assert np.array_equal(again.losses, whole.losses[-len(again.losses) :])
    assert again.executor == "reference"


def test_records_are_frozen(plan: Plan, data: Dataset) -> None:
    for record, name in (
        (Run(plan, data), "settings"),
        (Keeping(), "checkpoint"),
        (Reporting(), "log"),
    ):
        with pytest.raises(FrozenInstanceError):
            setattr(record, name, None)


@pytest.mark.parametrize("name", ["every", "keep"])
def test_numbers_below_one_are_refused(name: str, plan: Plan, data: Dataset) -> None:
    with pytest.raises(UserError, match=name):
        Run(plan, data, executor="reference", keeping=Keeping(**{name: 0})).train()
