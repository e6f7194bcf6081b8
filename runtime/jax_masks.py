"""Mask updates of the JAX executor: on the host, between dispatches that end at their ticks."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import jax.numpy as jnp

from ..backend.sparsity import MaskRule
from .jax_stage import Model
from .masks import Masked

if TYPE_CHECKING:
    from .jax_executor import JaxExecutor


def ticks_until_update(executor: JaxExecutor) -> int | None:
    """Ticks after which a mask may change, at least 1; None if masks stay for good.

    It may turn out that none does, when a stage skips an update meanwhile.
    """
    model = executor.pipeline.model
    return min((_ticks(executor, int(key), int(n)) for key, n in model.steps.items()), default=None)


def _ticks(executor: JaxExecutor, stage: int, steps: int) -> int:
    lag = executor.tick_function.update_lag(stage)
    sample = max(executor.tick - lag, executor.first_fed)
    until = min(rule.until(steps + 1) for rule in _rules(executor, stage).values())
    return sample + until + lag + 1 - executor.tick


def update_masks(executor: JaxExecutor, before: dict[str, int]) -> None:
    """Change the masks that are due after the dispatch; `before` are the steps made before it."""
    model = executor.pipeline.model
    for key, steps in steps_made(executor).items():
        if steps != before[key]:
            due = _rules(executor, int(key)).items()
            for name, rule in [(name, rule) for name, rule in due if rule.due(steps)]:
                model = _updated(model, name, rule, steps)
    executor.pipeline = replace(executor.pipeline, model=model)


def steps_made(executor: JaxExecutor) -> dict[str, int]:
    """Updates made so far by each stage whose masks change."""
    return {key: int(steps) for key, steps in executor.pipeline.model.steps.items()}


def _updated(model: Model, name: str, rule: MaskRule, step: int) -> Model:
    before = Masked(model.masks[name], model.weights[name], model.optimizer[name])
    after = before.updated(rule, model.collected.get(name), step, jnp)
    collected = model.collected
    if rule.needs_gradient:
        collected = {**collected, name: jnp.zeros_like(after.weight)}
    return replace(
        model,
        masks={**model.masks, name: after.mask},
        weights={**model.weights, name: after.weight},
        optimizer={**model.optimizer, name: after.optimizer},
        collected=collected,
    )


def _rules(executor: JaxExecutor, stage: int) -> dict[str, MaskRule]:
    """The rules of a stage's parameters by name."""
    rules = executor.job.mask_rules
    names = executor.job.stages.stages[stage].parameters
    return {name: rules[name] for name in names if name in rules}
