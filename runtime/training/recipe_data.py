"""The data of a run as its recipe has them fed: held out, normalized, changed at random."""

from __future__ import annotations

from dataclasses import replace

from ...compiler.plan.plan import Plan
from ...compiler.recipes.recipe import Recipe
from ..data import Augmented, Constants, Normalized, Splits, Wanted, as_splits


def recipe_data(plan: Plan, recipe: Recipe, data: object) -> Splits:
    """The parts that a run reads. Raises UserError for data that are none of weft.train's."""
    names = tuple(record.name for record in plan.document.inputs)
    constants = input_constants(recipe)
    wanted = Wanted(names, plan.document.inputs[0].shape[1:], recipe.seed, raw=bool(constants))
    found = as_splits(data, wanted)
    if recipe.training.validation:
        found = found.with_validation(recipe.training.validation)
    if constants is not None:
        found = found.each(lambda samples: Normalized(samples, constants))
    changes = recipe.augmentation
    if changes.pad_crop or changes.flip:
        train = Augmented(found.train, recipe.seed, changes.pad_crop, changes.flip)
        found = replace(found, train=train)
    return found


def input_constants(recipe: Recipe) -> Constants | None:
    """Mean and deviation by which the recipe has inputs normalized; None if it does not."""
    given = recipe.input
    return Constants(given.mean, given.deviation) if given.mean else None
