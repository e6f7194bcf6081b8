"""Mask updates between dispatches that end at their ticks, on the host, for XLA executors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Protocol

from ...backend.optim.rule import Array
from ...backend.sparsity import MaskRule
from ...compiler.plan.schedule import TickSchedule
from .job import Job
from .masks import Masked
from .train_state import TrainedModel

MaskChange = Callable[[Masked, MaskRule, Array | None, int], Masked]
"""`Masked.updated`, on the arrays of an executor: what it changes, by which rule, with which
collected gradients, at which step."""


class Timing(Protocol):
    """What the times of mask updates depend on: where an executor stands, which it reads only."""

    job: Job
    tick: int
    first_fed: int
    schedule: TickSchedule

    @property
    def model(self) -> TrainedModel: ...


def ticks_until_update(executor: Timing) -> int | None:
    """Ticks after which a mask may change, at least 1; None if masks stay for good.

    It may turn out that none does, when a stage skips an update meanwhile.
    """
    made = steps_made(executor).items()
    return min((_ticks(executor, int(key), steps) for key, steps in made), default=None)


def _ticks(executor: Timing, stage: int, steps: int) -> int:
    lag = executor.schedule.update_age(stage)
    sample = max(executor.tick - lag, executor.first_fed)
    until = min(rule.until(steps + 1) for rule in _rules(executor, stage).values())
    return sample + until + lag + 1 - executor.tick


def masks_updated(
    executor: Timing, before: dict[str, int], change: MaskChange, xp: Any
) -> TrainedModel:
    """The model with the masks that are due after a dispatch; `before` are the steps before it.

    `xp` is torch or jax.numpy.
    """
    model = executor.model
    for key, steps in steps_made(executor).items():
        if steps != before[key]:
            due = _rules(executor, int(key)).items()
            for name, rule in [(name, rule) for name, rule in due if rule.due(steps)]:
                model = _updated(model, name, rule, steps, change, xp)
    return model


def steps_made(executor: Timing) -> dict[str, int]:
    """Updates made so far by each stage whose masks change."""
    return {key: int(steps) for key, steps in executor.model.steps.items()}


def _updated(
    model: TrainedModel, name: str, rule: MaskRule, step: int, change: MaskChange, xp: Any
) -> TrainedModel:
    before = Masked(model.masks[name], model.weights[name], model.optimizer[name])
    after = change(before, rule, model.collected.get(name), step)
    collected = model.collected
    if rule.needs_gradient:
        collected = collected | {name: xp.zeros_like(after.weight)}
    return replace(
        model,
        masks=model.masks | {name: after.mask},
        weights=model.weights | {name: after.weight},
        optimizer=model.optimizer | {name: after.optimizer},
        collected=collected,
    )


def _rules(executor: Timing, stage: int) -> dict[str, MaskRule]:
    """The rules of a stage's parameters by name."""
    rules = executor.job.mask_rules
    names = executor.job.stages.stages[stage].parameters
    return {name: rules[name] for name in names if name in rules}
