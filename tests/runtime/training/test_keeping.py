"""What a run keeps on disk, and the checkpoint that it goes on from."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from pathlib import Path

import numpy as np
import pytest
from weft.backend.errors import UserError
from weft.compiler.plan.plan import Plan
from weft.compiler.recipes.build import compile_recipe
from weft.compiler.recipes.read import make_recipe
from weft.runtime.data import Dataset
from weft.runtime.training.keeping import Keeping
from weft.runtime.training.reporting import Reporting
from weft.runtime.training.run import Run

RECIPE = {
    "model": {"name": "mlp", "options": {"width": 16}},
    "input": {"shape": [1, 8, 8], "classes": 10},
    "target": "tiny_mesh",
}


@pytest.fixture(scope="module")
def plan() -> Plan:
    return compile_recipe(make_recipe(RECIPE))


@pytest.fixture(scope="module")
def data() -> Dataset:
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((24, 1, 8, 8), np.float32), rng.integers(0, 10, 24)
    return Dataset("random", x[:16], y[:16], x[16:], y[16:], "none")


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
