"""The experiment on handwritten digits: the network and the recipe of `weft demo`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property

from ...backend.optim import compensations
from ...compiler.plan.plan import Plan
from ...compiler.recipes.build import compile_recipe
from ...compiler.recipes.network import build_model
from ...compiler.recipes.read import shipped_recipe
from ...compiler.recipes.recipe import Recipe
from ...runtime.data import Dataset, load_data
from ...runtime.tick.job import Job, Mode
from ...runtime.tick.make_job import make_job
from .training import SEQUENTIAL, Experiment, RunSetting

_METHODS = (SEQUENTIAL, *(name for name in compensations() if name != "lwp_w2d"))


def digits_experiment(epochs: int = 5, overrides: Iterable[str] = ()) -> Experiment:
    """The demo's recipe with `key=value` overrides. Seeds set start weights, masks and order.

    Raises UserError without scikit-learn, and for overrides that do not fit.
    """
    data = load_data("digits")
    jobs = _DigitsJobs(tuple(overrides), epochs * len(data.x_train))
    recipe = jobs.recipe()
    return Experiment(
        name="digits",
        setup=_setup(recipe, data),
        data=data,
        epochs=epochs,
        rate=recipe.optimizer.lr,
        methods=_METHODS,
        job=jobs,
    )


def recipe_job(plan: Plan, recipe: Recipe, updates: int, mode: Mode) -> Job:
    """The job of a recipe with the stages of a plan that was compiled from another.

    Start weights, masks and all that is trained with are the recipe's.
    """
    model, masks = build_model(recipe)
    known = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    tensors = {name: known.get(name, value) for name, value in plan.tensors.items()}
    return make_job(replace(plan, tensors=tensors, masks=masks), recipe, updates, mode)


@dataclass(frozen=True)
class _DigitsJobs:
    """The job of a setting; the stages are compiled once, at the first."""

    overrides: tuple[str, ...]
    updates: int

    def __call__(self, setting: RunSetting) -> Job:
        changes = [f"optimizer.lr={setting.factor * self.recipe().optimizer.lr}"]
        changes += [f"seed={setting.seed}", f"pipeline.mode={setting.mode}"]
        if setting.method != SEQUENTIAL:
            changes.append(f"pipeline.compensation={setting.method}")
        return recipe_job(self._plan, self.recipe(changes), self.updates, setting.mode)

    def recipe(self, changes: Iterable[str] = ()) -> Recipe:
        return shipped_recipe("demo", [*self.overrides, *changes])

    @cached_property
    def _plan(self) -> Plan:
        return compile_recipe(self.recipe())


def _setup(recipe: Recipe, data: Dataset) -> str:
    optimizer, options = recipe.optimizer, recipe.model.options
    schedule = optimizer.schedule
    return (
        f"{recipe.model.name}{f' {options}' if options else ''}, {recipe.normalization.kind} norm,"
        f" sparsity {recipe.sparsity}; {optimizer.name}, lr {optimizer.lr:g}, momentum"
        f" {optimizer.own_momentum:g}, weight decay {optimizer.weight_decay:g}, {schedule.kind}"
        f" schedule with a warm-up of {schedule.warmup:g}; {data.name}: {len(data.x_train)}"
        f" training and {len(data.x_test)} test samples"
    )
