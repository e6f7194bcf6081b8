"""One stage as JAX functions: its programs lowered, its update rule applied, bubbles skipped."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import torch

from ...backend.optim import sum_of_squares
from ...backend.optim.compensation import Delay, DelayConstants
from ...compiler.plan.program import Stage
from ..tick import wiring
from ..tick.evaluation import evaluation_forward
from ..tick.job import Job
from ..tick.train_state import Model
from .ops.lower import jax_dtype, lower

Array = Any


def to_array(tensor: torch.Tensor) -> np.ndarray:
    """A torch tensor as an array of its own (64-bit types only where jax has x64 enabled)."""
    return np.array(tensor.detach().cpu().numpy(), dtype=jax_dtype(tensor.dtype))


jax.tree_util.register_dataclass(
    Model, data_fields=tuple(field.name for field in fields(Model)), meta_fields=()
)


def start_model(job: Job, stages: Sequence[Stage]) -> Model:
    """The start values of some stages of a job, on the host.

    Made on the device, XLA would compile a program for every shape.
    """
    return Model.start(job, stages, to_array, np)


@dataclass(frozen=True)
class StageFunctions:
    """A stage's forward, backward and update on jax arrays.

    They read the model as it was at the start of the tick, `old`, and write what they change into
    `new`. `valid` is False in a bubble, which changes nothing, and the constant True where there
    are no bubbles.
    """

    job: Job
    stage: Stage
    delay: Delay
    run_forward: Callable[..., Sequence[Array]]
    run_backward: Callable[..., Sequence[Array]]
    run_evaluation: Callable[..., Sequence[Array]]
    """Also gives the sum of squares of each parameter's gradient, after the program's results."""

    def predict(self, old: Model, rate: Array) -> list[Array]:
        """The weights the forward uses."""
        rule, weights = self.job.rule, self.weights(old)
        return [
            rule.predict(
                value,
                old.optimizer[name],
                _typed(self.delay, value.dtype),
                rate.astype(value.dtype),
                jnp,
            )
            for name, value in zip(self.stage.parameters, weights, strict=True)
        ]

    def weights(self, old: Model) -> list[Array]:
        """The weights as they are."""
        return [old.weights[name] for name in self.stage.parameters]

    def forward(
        self,
        old: Model,
        new: Model,
        weights: Sequence[Array],
        inputs: Sequence[Array],
        valid: Array | bool,
    ) -> wiring.ForwardResult[Array]:
        """The forward program; advances the forward state."""
        names = self.stage.forward_state
        state = [old.state[name] for name in names]
        result = wiring.forward_result(self.stage, self.run_forward(*weights, *state, *inputs))
        new.state.update(zip(names, _advanced(valid, list(result.state), state), strict=True))
        return result

    def evaluate(self, model: Model, inputs: Sequence[Array]) -> Sequence[Array]:
        """Outputs of the forward with the weights as they are, drawing nothing."""
        state = [model.state[name] for name in self.stage.forward_state]
        values = self.run_evaluation(*self.weights(model), *state, *inputs)
        return wiring.forward_result(self.stage, values).outputs

    def backward(
        self,
        old: Model,
        new: Model,
        weights: Sequence[Array],
        saved: Sequence[Array],
        gradients: Sequence[Array],
        valid: Array | bool,
    ) -> tuple[wiring.BackwardResult[Array], Sequence[Array]]:
        """The backward program; advances the backward state.

        Also the sum of squares of each parameter's gradient.
        """
        names = self.stage.backward_state
        state = [old.state[name] for name in names]
        values = self.run_backward(*weights, *state, *saved, *gradients)
        results = len(values) - len(wiring.trained(self.stage))
        result = wiring.backward_result(self.stage, values[:results])
        new.state.update(zip(names, _advanced(valid, list(result.state), state), strict=True))
        return result, values[results:]

    def update(
        self,
        old: Model,
        new: Model,
        gradients: Sequence[Array],
        squares: Sequence[Array],
        rate: Array,
        valid: Array | bool,
    ) -> None:
        """Advance the weights and the optimizer state, unless a gradient is not finite."""
        for name in self.stage.parameters:  # frozen ones stay
            new.weights[name], new.optimizer[name] = old.weights[name], old.optimizer[name]
        if not wiring.trained(self.stage):
            for now, before in ((new.skips, old.skips), (new.steps, old.steps)):
                now.update({k: v for k, v in before.items() if k == str(self.stage.index)})
            return
        usable, is_finite = self._guarded(old, gradients, squares)
        key = str(self.stage.index)
        new.skips[key] = _keep(valid, _counted(old.skips[key], is_finite), old.skips[key])
        valid = is_finite if valid is True else valid & is_finite
        for name, gradient in zip(wiring.trained(self.stage), usable, strict=True):
            weight, state = old.weights[name], old.optimizer[name]
            own_rate = rate.astype(weight.dtype)
            new.weights[name], new.optimizer[name] = self.job.rule.update(
                weight, gradient, state, _typed(self.delay, weight.dtype), own_rate, jnp, valid
            )
        if key in old.steps:
            self._collect(old, new, gradients, valid)

    def _guarded(
        self, old: Model, gradients: Sequence[Array], squares: Sequence[Array]
    ) -> tuple[list[Array], Array]:
        """The gradients to use, masked, and whether they may be used."""
        masked, own = [], []
        for name, gradient, square in zip(
            wiring.trained(self.stage), gradients, squares, strict=True
        ):
            if name in old.masks:  # a select, not a product: NaN times zero is NaN
                masked.append(jnp.where(old.masks[name], gradient, 0))
                own.append(sum_of_squares(masked[-1], jnp))
            else:
                masked.append(gradient)
                own.append(square)
        return self.job.guard(masked, jnp, own)

    def _collect(
        self, old: Model, new: Model, gradients: Sequence[Array], valid: Array | bool
    ) -> None:
        """Count the update, and add up dense gradients for the mask updates to come."""
        key = str(self.stage.index)
        step = old.steps[key] + 1
        new.steps[key] = _keep(valid, step, old.steps[key])
        for name, gradient in zip(wiring.trained(self.stage), gradients, strict=True):
            if name in old.collected:
                counts = valid & self.job.mask_rules[name].collects(step, jnp)
                total = old.collected[name]
                new.collected[name] = _keep(counts, total + gradient, total)


def stage_functions(
    job: Job, stages: Sequence[Stage], delay: Callable[[int], int]
) -> list[StageFunctions]:
    """Some stages of a job in order; a program that several stages share is lowered once."""
    programs = {stage.program.key: stage.program for stage in stages}
    lowered = {
        key: (
            lower(program.forward),
            lower(program.backward, sum(program.trainable)),
            lower(evaluation_forward(program)),
        )
        for key, program in programs.items()
    }
    return [
        StageFunctions(job, stage, delay(stage.index), *lowered[stage.program.key])
        for stage in stages
    ]


def loss_gradient(loss: Array) -> Array:
    """1, or NaN for a loss that is not finite, which makes every stage skip the sample's update."""
    return jnp.where(jnp.isfinite(loss), jnp.ones_like(loss), jnp.nan)


def _typed(delay: Delay, dtype: Any) -> Delay:
    """Constants that are arrays get a weight's type, as numbers do by themselves."""
    if isinstance(delay, int):
        return delay
    numbers = (c if isinstance(c, int | float) else c.astype(dtype) for c in delay)
    return DelayConstants(*numbers)


def _advanced(valid: Array | bool, new: list[Array], old: list[Array]) -> list[Array]:
    """Normalization state after a sample: `new`, or `old` in a bubble or if not all is finite."""
    for value in new:
        valid = jnp.all(jnp.isfinite(value)) & valid
    return _keep(valid, new, old)


def _counted(skips: Array, is_finite: Array) -> Array:
    """(total, current, longest) after one more sample, as `job.Skips` counts."""
    total, current, longest = skips
    current = jnp.where(is_finite, 0, current + 1)
    return jnp.stack([total + ~is_finite, current, jnp.maximum(longest, current)])


def _keep(valid: Array | bool, new: Any, old: Any) -> Any:
    """Trees of arrays: `new`, or `old` in a bubble, with the dtypes of `old`."""
    if valid is True:
        return jax.tree.map(lambda n, o: n.astype(o.dtype), new, old)
    return jax.tree.map(lambda n, o: jnp.where(valid, n.astype(o.dtype), o), new, old)
