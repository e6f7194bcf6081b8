"""A group of equal stages as JAX functions of one program each, with a row for every stage."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ....backend.optim.compensation import DelayConstants
from ...tick import wiring
from ...tick.stage_classes import Group
from ...tick.train_state import Model
from ..stage import StageFunctions

Array = Any


@dataclass(frozen=True)
class GroupFunctions:
    """Forward, backward and update of a group's stages; see `StageFunctions`.

    `old` is the model of the group: by the names of its first stage, a row for every stage.
    `functions` are those of the first stage.
    """

    group: Group
    functions: StageFunctions
    constants: DelayConstants
    """Of the stages' delays; an array where they differ."""

    def forward(
        self, old: Model, rates: Array, inputs: Sequence[Array], valid: Array
    ) -> tuple[dict[str, Array], wiring.ForwardResult[Array], list[Array]]:
        """The forward state, the results, and the weights that were used."""

        def one(
            functions: StageFunctions,
            old: Model,
            rate: Array,
            inputs: Sequence[Array],
            valid: Array,
        ) -> Any:
            new = old.successor()
            weights = functions.predict(old, rate)
            result = functions.forward(old, new, weights, inputs, valid)
            return new.state, tuple(result.outputs), tuple(result.saved), weights

        state, outputs, saved, weights = self._mapped(one, old, rates, inputs, valid)
        return state, wiring.ForwardResult(outputs, (), saved), weights

    def backward(
        self,
        old: Model,
        weights: Sequence[Array],
        saved: Sequence[Array],
        gradients: Sequence[Array],
        valid: Array,
    ) -> tuple[dict[str, Array], wiring.BackwardResult[Array], Sequence[Array]]:
        """The backward state, the results, and each parameter's sum of squares."""

        def one(functions: StageFunctions, old: Model, *given: Any) -> Any:
            new = old.successor()
            result, squares = functions.backward(old, new, *given)
            return new.state, tuple(result.parameters), tuple(result.inputs), squares

        given = weights, saved, gradients, valid
        state, parameters, inputs, squares = self._mapped(one, old, *given)
        return state, wiring.BackwardResult(parameters, inputs, ()), squares

    def update(
        self,
        old: Model,
        gradients: Sequence[Array],
        squares: Sequence[Array],
        rates: Array,
        valid: Array,
    ) -> Model:
        """What the update changes."""

        def one(functions: StageFunctions, old: Model, *given: Any) -> Model:
            new = old.successor()
            functions.update(old, new, *given)
            return replace(new, masks={})

        return self._mapped(one, old, gradients, squares, rates, valid)

    def _mapped(self, one: Callable[..., Any], *given: Any) -> Any:
        """`one` over the rows of what is given, with the functions of a stage before it."""
        named = self.constants._asdict().items()
        varying = {name: jnp.asarray(v) for name, v in named if isinstance(v, np.ndarray)}

        def run(own: dict[str, Array], *given: Any) -> Any:
            delay = self.constants._replace(**own)
            return one(replace(self.functions, delay=delay), *given)

        return jax.vmap(run)(varying, *given)


def group_functions(group: Group, functions: Sequence[StageFunctions]) -> GroupFunctions:
    """Those of a group; `functions` are those of all stages in order."""
    own = [functions[index] for index in group.indices]
    constants = [stage.job.rule.constants(stage.delay) for stage in own]
    columns = (
        column[0] if len(set(column)) == 1 else np.array(column)
        for column in zip(*constants, strict=True)
    )
    return GroupFunctions(group, own[0], DelayConstants(*columns))


def into(new: Model, changed: Model) -> None:
    """Note what a group changed in the model that is being made."""
    for field in fields(Model):
        getattr(new, field.name).update(getattr(changed, field.name))
