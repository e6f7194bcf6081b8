"""A sparse plan to be written and read."""

from __future__ import annotations

from weft.compiler.plan.plan import Plan
from weft.compiler.recipes.build import compile_recipe
from weft.compiler.recipes.read import make_recipe

RECIPE = {
    "model": "mlp",
    "input": {"shape": [1, 8, 8], "classes": 10},
    "sparsity": 0.5,
    "target": "tiny_mesh",
}


def sparse_plan() -> Plan:
    return compile_recipe(make_recipe(RECIPE))
