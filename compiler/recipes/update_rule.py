"""The update rule that a recipe trains with, checked before anything is compiled."""

from __future__ import annotations

from typing import Literal

from ...backend.optim import UpdateRule, build_rule, default_compensation
from .recipe import Recipe


def update_rule(recipe: Recipe, mode: Literal["pipelined", "sequential"]) -> UpdateRule:
    """The rule of a recipe at batch size 1, with its delay compensation.

    In sequential mode there is no delay and hence no compensation.
    Raises UserError for a compensation that is not defined for the optimizer.
    """
    optimizer = recipe.optimizer.at_batch_size_1()
    chosen = recipe.pipeline.compensation or default_compensation(optimizer.name)
    return build_rule(
        optimizer.name,
        momentum=optimizer.momentum,
        weight_decay=optimizer.weight_decay,
        nesterov=optimizer.nesterov,
        compensation=chosen if mode == "pipelined" else "none",
        betas=optimizer.betas,
        eps=optimizer.eps,
    )
