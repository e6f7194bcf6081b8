"""A run as records: what is asked for is what `weft.train` asks for, and nothing can be changed."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from pathlib import Path

import numpy as np
import pytest
import weft
from weft.backend.errors import UserError
from weft.compiler.plan.plan import Plan
from weft.compiler.recipes.build import compile_recipe
from weft.compiler.recipes.read import make_recipe
from weft.runtime.data import Dataset
from weft.runtime.training.keeping import Keeping
from weft.runtime.training.reporting import Reporting
from weft.runtime.training.run import Run, phase_name

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


def test_a_run_is_what_weft_train_does(plan: Plan, data: Dataset) -> None:
    own = Run(plan, data, ("epochs=2",), executor="reference").train()
    same = weft.train(plan, data, epochs=2, executor="reference")
    assert np.array_equal(own.losses, same.losses)
    assert len(own.losses) == 32


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


def test_scalars_without_a_directory_are_refused() -> None:
    with pytest.raises(UserError, match="neither log nor checkpoint"):
        Reporting(tensorboard=True).logs(None, None)


def test_nothing_is_logged_without_a_directory() -> None:
    assert Reporting().logs(None, None) == []


def test_directories_of_phases_count_from_one() -> None:
    assert [phase_name(number) for number in range(2)] == ["phase-1", "phase-2"]
