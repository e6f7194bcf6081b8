"""A run as records: what is asked for is what `weft.train` asks for, and nothing can be changed."""

from __future__ import annotations

import numpy as np
import pytest
import weft
from weft.compiler.plan.plan import Plan
from weft.compiler.recipes.build import compile_recipe
from weft.compiler.recipes.read import make_recipe
from weft.runtime.data import Dataset
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


def test_directories_of_phases_count_from_one() -> None:
    assert [phase_name(number) for number in range(2)] == ["phase-1", "phase-2"]
