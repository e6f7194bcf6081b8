"""A plan whose masks outgrow its map."""

from __future__ import annotations

from dataclasses import replace

from helpers.plans_to_train import RECIPE, small_data
from weft.compiler.plan.plan import Plan
from weft.compiler.recipes.build import compile_recipe
from weft.compiler.recipes.read import make_recipe
from weft.runtime.data import Dataset

RIGL = {"algorithm": "rigl", "sparsity": 0.8, "drop_fraction": 0.5, "update": {"freq": 10}}


def outgrown_plan(bytes_per_pe: int = 3200, **changes: object) -> Plan:
    target = {"name": "tiny_mesh", "overrides": {"sram.bytes_per_pe": str(bytes_per_pe)}}
    model = {"name": "mlp", "options": {"width": 32}}
    given = {**RECIPE, "model": model, "target": target, "sparsity": RIGL, **changes}
    return compile_recipe(make_recipe(given))


def outgrown_data() -> Dataset:
    """All pixels but those of two rows are 0."""
    whole = small_data(150)
    x = whole.x_train.copy()
    x[:, :, 2:] = 0
    return replace(whole, x_train=x)
