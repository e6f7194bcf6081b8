"""From a plan and its recipe to a training job."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from ...backend.errors import UserError
from ...backend.ops import draw_number, place_of
from ...backend.optim import Guard
from ...backend.sparsity import MaskRule, configure
from ...compiler.plan.plan import Plan
from ...compiler.plan.training import stepped_by_element
from ...compiler.recipes.recipe import Recipe
from ...compiler.recipes.update_rule import schedule, settings, update_rule
from .job import Job, Mode
from .precision import in_precision
from .rebuilding_error import measured


def make_job(plan: Plan, recipe: Recipe, updates: int, mode: Mode) -> Job:
    """The job of training `plan` by `recipe` for `updates` updates (samples).

    Random draws are those of the recipe's seed, counted on from where the plan is.
    Raises UserError for a plan without weights, and for sparsity that the plan has no masks for.
    """
    if not plan.tensors:
        raise UserError(
            f"plan of {plan.document.model}",
            expected="a plan with weights",
            got="one compiled on the meta device or with --no-weights: it has none",
            change="compile the model with real weights to train it",
        )
    rule = update_rule(recipe, mode, updates)
    optimizer = recipe.optimizer.at_batch_size_1()
    guard = Guard(recipe.training.clip_norm)
    stages, errors = in_precision(plan.stages, recipe.training.precision), {}
    if recipe.training.rebuilding_error:
        stages, errors = measured(stages)
    return Job(
        stages,
        {**_seeded(plan.tensors, recipe.seed), **errors},
        plan.masks,
        rule,
        schedule(optimizer, updates),
        guard,
        _mask_rules(plan, recipe),
        settings=settings(recipe, rule, updates),
        by_element=stepped_by_element(plan.stages, optimizer.by_element),
    )


def _seeded(tensors: Mapping[str, Tensor], seed: int) -> dict[str, Tensor]:
    """The tensors with the keys of random draws in the places of a seed."""
    keys = {name: draw_number(name) for name in tensors}
    own = {
        name: torch.stack([tensors[name].new_tensor(place_of(number, seed)), tensors[name][1]])
        for name, number in keys.items()
        if number is not None
    }
    return {**tensors, **own}


def _mask_rules(plan: Plan, recipe: Recipe) -> dict[str, MaskRule]:
    """The rules of masks that change; what is frozen is sparse only if the plan has its mask.

    Masks of a model with adapters, whose weights are frozen, do not change.
    """
    if recipe.sparsity is None or recipe.adapters.are_given:
        return {}
    able = {name for stage in plan.stages.stages for name in stage.trained} | plan.masks.keys()
    names = [record.name for record in plan.document.parameters if record.name in able]
    parameters = {name: plan.tensors[name] for name in names}
    rules = configure(recipe.sparsity, recipe.seed).rules(parameters)
    absent = [name for name in rules if name not in plan.masks]
    if absent:
        raise UserError(
            f"sparsity of '{absent[0]}'",
            expected="a plan with a mask for every parameter that the recipe makes sparse",
            got=f"{len(absent)} parameters without",
            change="compile the plan with this sparsity",
        )
    return {name: rule for name, rule in rules.items() if rule.is_dynamic}
