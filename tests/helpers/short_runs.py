"""A small perceptron and sixteen samples to train it with."""

from __future__ import annotations

import numpy as np
from weft.compiler.plan.plan import Plan
from weft.compiler.recipes.build import compile_recipe
from weft.compiler.recipes.read import make_recipe
from weft.runtime.data import Dataset

RECIPE = {
    "model": {"name": "mlp", "options": {"width": 16}},
    "input": {"shape": [1, 8, 8], "classes": 10},
    "target": "tiny_mesh",
}


def short_plan() -> Plan:
    return compile_recipe(make_recipe(RECIPE))


def short_data() -> Dataset:
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((24, 1, 8, 8), np.float32), rng.integers(0, 10, 24)
    return Dataset("random", x[:16], y[:16], x[16:], y[16:], "none")
