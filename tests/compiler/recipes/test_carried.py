"""The recipe that a plan carries, or that of its model with the defaults."""

from __future__ import annotations

import torch
import weft
from torch import nn
from weft.compiler.recipes.build import compile_recipe
from weft.compiler.recipes.carried import carried_recipe
from weft.compiler.recipes.read import make_recipe


def test_a_plan_of_a_recipe_carries_it() -> None:
    recipe = {"model": "mlp", "input": {"shape": [1, 8, 8], "classes": 3}, "target": "tiny_mesh"}
    found = carried_recipe(compile_recipe(make_recipe(recipe, ["model.options.width=8"])))
    assert found["input"] == {"shape": [1, 8, 8], "classes": 3} | dict(found["input"])
    assert make_recipe(found).model.options["width"] == 8


def test_a_model_compiled_in_python_has_its_name_and_shape() -> None:
    sample = torch.zeros(1, 5), torch.zeros(1, 2)
    plan = weft.compile(nn.Linear(5, 2), sample, nn.functional.mse_loss, "tiny_mesh")
    assert carried_recipe(plan) == {"model": plan.document.model, "input": {"shape": [5]}}
