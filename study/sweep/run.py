"""The points of a sweep, each evaluated once."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from ...backend.errors import UnknownNameError, UserError
from ...backend.named_models import model_entry
from ...backend.sparsity import configure
from ...compiler.recipes.network import loss_of
from ...compiler.recipes.read import make_recipe
from ...compiler.recipes.recipe import Recipe, TargetRecipe
from ...compiler.recipes.user_code import find, is_user_code
from ...compiler.targets.load import load_target
from .evaluate import model_key
from .log import WHOLE, Shard, SweepLog, recipe_hash
from .points import Overrides, override
from .workers import PointTask, Workers

NOT_PRICED = frozenset({"clock_hz", "clock_max_hz", "host", "wafers", "wafer_link", "power"})
"""Parts of a target that no stage's price depends on: pricing does not read them."""


def tasks_of(recipe: Recipe, points: Iterable[Overrides], shard: Shard = WHOLE) -> list[PointTask]:
    """The distinct points of a shard, those of one model together, of these those whose stages have
    the same prices.

    Raises UserError for the first override that the recipe does not take, and for functions and
    targets that are not there, before any work is done.
    """
    data = recipe.model_dump(mode="json", exclude_unset=True)
    found: dict[str, PointTask] = {}
    for point in points:
        texts = [override(key, value) for key, value in point.items()]
        made = make_recipe(data, texts, where="sweep")
        own = recipe_hash(made)
        prices = f"{model_key(made)} {_priced(made.target)}"
        found.setdefault(own, PointTask(point, own, made, prices))
    recipes = [task.recipe for task in found.values()]
    _check_code(recipes)
    _check_targets([recipe.target for recipe in recipes])
    _check_sparsity(recipes)
    mine = list(found.values())[shard.index :: shard.count]
    return sorted(mine, key=lambda task: task.prices)


def _priced(target: TargetRecipe) -> str:
    """What differs between targets on which stages have different prices."""
    constants = target.overrides.items()
    read = {key: value for key, value in constants if key.partition(".")[0] not in NOT_PRICED}
    return f"{target.name} {sorted(read.items())}"


def _check_code(recipes: Iterable[Recipe]) -> None:
    """Raises UserError for models and losses that are not there, or whose file does not load."""
    for name in sorted({recipe.model.name for recipe in recipes}):
        if is_user_code(name):
            find(name, "model")
        else:
            model_entry(name)
    for loss in sorted({recipe.loss for recipe in recipes}):
        loss_of(loss)


def _check_targets(targets: Sequence[TargetRecipe]) -> None:
    """Raises UserError for an unknown target, a constant that it has not, or values of which none
    gives a machine; where some do, the others are points without a plan."""
    for name in {target.name for target in targets}:
        load_target(name)
    distinct = {(target.name, frozenset(target.overrides)): target for target in targets}
    mistakes = [_mistake(target) for target in distinct.values()]
    if mistakes and all(mistakes) and all(map(_mistake, targets)):
        raise next(filter(None, mistakes))


def _mistake(target: TargetRecipe) -> UserError | None:
    """What is wrong with the values of a target's constants. Raises UnknownNameError for others."""
    try:
        load_target(target.name, target.overrides)
    except UnknownNameError:
        raise
    except UserError as error:
        return error
    return None


def _check_sparsity(recipes: Iterable[Recipe]) -> None:
    """Raises UserError for a sparsity that no model could have."""
    distinct = {json.dumps(recipe.sparsity, sort_keys=True): recipe for recipe in recipes}
    for recipe in distinct.values():
        if recipe.sparsity is not None:
            configure(recipe.sparsity, recipe.seed)


def sweep(
    tasks: Sequence[PointTask],
    log: SweepLog,
    workers: Workers,
    on_point: Callable[[int, int], None] = lambda done, count: None,
) -> list[dict[str, Any]]:
    """Every task's line, those of an earlier run read from the log.

    `on_point` is told how many are done, and of how many.
    """
    done = log.done()
    left = [task for task in tasks if task.hash not in done]
    count = len(tasks) - len(left)
    on_point(count, len(tasks))
    for points in workers(left):
        lines = [point.to_dict() for point in points]
        log.append(lines)
        done |= {line["recipe"]: line for line in lines}
        count += len(lines)
        on_point(count, len(tasks))
    return [done[task.hash] for task in tasks]
