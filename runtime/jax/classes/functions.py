"""The functions of a class of stages: each program once, with a row for every stage."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ....backend.optim.compensation import DelayConstants
from ...tick.stage import StageBackward, StageForward, StageFunctions
from ...tick.train_state import TrainedModel

Array = Any


@dataclass(frozen=True)
class ClassFunctions:
    """Forward, backward and update of a class of several stages; see `StageFunctions`.

    All that they take and give has a row for every stage, by the names of the first stage, whose
    functions are `first`. `constants` are those of the stages' delays: arrays where they differ.
    """

    first: StageFunctions
    constants: DelayConstants

    def forward(self, model: TrainedModel, inputs: Any, rate: Any, valid: Any) -> StageForward:
        """The forwards of all stages."""
        return self._mapped(StageFunctions.forward, model, inputs, rate, valid)

    def backward(
        self, model: TrainedModel, weights: Any, arguments: Any, valid: Any
    ) -> StageBackward:
        """The backwards of all stages."""
        return self._mapped(StageFunctions.backward, model, weights, arguments, valid)

    def update(
        self, model: TrainedModel, gradients: Any, squares: Any, rate: Any, valid: Any
    ) -> TrainedModel:
        """What the updates of all stages change."""
        return self._mapped(StageFunctions.update, model, gradients, squares, rate, valid)

    def _mapped(self, function: Callable[..., Any], *given: Any) -> Any:
        """`function` over the rows of what is given, with the functions of a stage before it."""
        named = self.constants._asdict().items()
        varying = {name: jnp.asarray(v) for name, v in named if isinstance(v, np.ndarray)}

        def run(own: dict[str, Array], *given: Any) -> Any:
            delay = self.constants._replace(**own)
            return function(replace(self.first, delay=delay), *given)

        return jax.vmap(run)(varying, *given)


def class_functions(own: Sequence[StageFunctions]) -> StageFunctions | ClassFunctions:
    """Those of a class with these stages; a class of one needs no rows."""
    if len(own) == 1:
        return own[0]
    constants = [stage.job.rule.constants(stage.delay) for stage in own]
    columns = (
        column[0] if len(set(column)) == 1 else np.array(column)
        for column in zip(*constants, strict=True)
    )
    return ClassFunctions(own[0], DelayConstants(*columns))
