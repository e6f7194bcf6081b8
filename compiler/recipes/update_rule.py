"""The update rule that a recipe trains with, checked before anything is compiled."""

from __future__ import annotations

from typing import Literal

from ...backend.optim import (
    Constant,
    Cosine,
    LinearWarmup,
    MultiStep,
    Schedule,
    Settings,
    StageRates,
    UpdateRule,
    build_rule,
    default_compensation,
)
from .optimizer import OptimizerRecipe
from .recipe import Recipe

_MANY = 1_000_000
"""Updates of a run whose samples are not known yet: shares of it are as of any long run."""


def update_rule(
    recipe: Recipe, mode: Literal["pipelined", "sequential"], updates: int = 1
) -> UpdateRule:
    """The rule of a recipe at batch size 1 for so many updates, with its delay compensation.

    In sequential mode there is no delay and hence no compensation.
    Raises UserError for a compensation that is not defined for the optimizer.
    """
    optimizer = recipe.optimizer.at_batch_size_1()
    chosen = recipe.pipeline.compensation or default_compensation(optimizer.name)
    rule = build_rule(
        optimizer.name,
        momentum=optimizer.own_momentum,
        weight_decay=optimizer.weight_decay,
        nesterov=optimizer.nesterov,
        compensation=chosen if mode == "pipelined" else "none",
        betas=optimizer.betas,
        eps=optimizer.eps,
        rotate_every=optimizer.rotate_every,
        rotate_largest=optimizer.rotate_largest,
    )
    if optimizer.stage_rate is None or mode == "sequential":
        return rule
    share = optimizer.stage_rate.anneal
    anneal = None if share is None else max(1, round(share * updates))
    return StageRates(rule, optimizer.stage_rate.delay, anneal)


def schedule(optimizer: OptimizerRecipe, updates: int) -> Schedule:
    """The learning rate of each of so many updates; the optimizer is that of batch size 1."""
    recipe, lr = optimizer.schedule, optimizer.lr
    after: Schedule = Constant(lr)
    if recipe.kind == "cosine":
        after = Cosine(lr, updates, lr * recipe.final)
    elif recipe.kind == "multistep":
        milestones = tuple(round(share * updates) for share in recipe.milestones)
        after = MultiStep(lr, milestones, recipe.factor)
    warmup = _warmup(optimizer, updates)
    return LinearWarmup(warmup, after) if warmup else after


def settings(recipe: Recipe, rule: UpdateRule, updates: int = _MANY) -> Settings:
    """The highest learning rate of so many updates and the constants of the rule, per sample.

    `scaled_from` says what the recipe asked for where that is of another batch size.
    """
    given = recipe.optimizer
    found = {"learning_rate": _highest(given.at_batch_size_1(), updates), **rule.settings}
    if given.reference_batch_size is not None:
        found["scaled_from"] = f"{given.lr:g} at batch size {given.reference_batch_size}"
    return found


def _highest(optimizer: OptimizerRecipe, updates: int) -> float:
    """Rates rise while they are warmed up, and never after that."""
    return schedule(optimizer, updates)(min(_warmup(optimizer, updates), updates - 1))


def _warmup(optimizer: OptimizerRecipe, updates: int) -> int:
    return round(optimizer.schedule.warmup * updates)
