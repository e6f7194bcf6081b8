"""A plan that trains on data changed at random, normalized, and partly held out."""

from __future__ import annotations

from typing import Any

import weft
from helpers.plans_to_train import RECIPE
from weft.compiler.plan.plan import Plan
from weft.compiler.recipes.build import compile_recipe
from weft.compiler.recipes.read import make_recipe

OVERRIDES = (
    "augmentation={pad_crop: 1, flip: true}",
    "input.mean=[0.1]",
    "input.deviation=[2.0]",
    "training.validation=0.25",
    "training.scores=[top2]",
)


def changed_plan() -> Plan:
    return compile_recipe(make_recipe(RECIPE, OVERRIDES))


def train(plan: Plan, data: object, **options: Any) -> Any:
    return weft.train(plan, data, executor="reference", epochs=2, **options)
