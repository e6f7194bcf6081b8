"""One stage as JAX functions: its programs lowered, its update rule applied, bubbles skipped."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import torch

from ..compiler.program import Stage
from . import wiring
from .jax_lower import jax_dtype, lower
from .job import Job

Array = Any
Tensors = dict[str, Array]


def to_array(tensor: torch.Tensor) -> Array:
    """A torch tensor as a jax array of its own (64-bit types only where jax has x64 enabled)."""
    return jnp.array(tensor.detach().cpu().numpy(), dtype=jax_dtype(tensor.dtype))


@dataclass(frozen=True)
class Model:
    """By name: parameters, optimizer state, normalization state, and masks, which stay."""

    weights: Tensors
    optimizer: dict[str, Tensors]
    state: Tensors
    masks: Tensors

    @staticmethod
    def start(job: Job) -> Model:
        """The start values of a job."""
        stages = job.stages.stages
        weights = {n: to_array(job.start(n)) for stage in stages for n in stage.parameters}
        names = [n for stage in stages for n in (*stage.forward_state, *stage.backward_state)]
        return Model(
            weights=weights,
            optimizer={name: job.rule.init(value, jnp) for name, value in weights.items()},
            state={name: to_array(job.start(name)) for name in names},
            masks={name: to_array(job.masks[name]) for name in weights if name in job.masks},
        )

    def successor(self) -> Model:
        """A model to be filled by the stages; masks stay."""
        return Model({}, {}, {}, self.masks)


jax.tree_util.register_dataclass(
    Model, data_fields=("weights", "optimizer", "state", "masks"), meta_fields=()
)


@dataclass(frozen=True)
class StageFunctions:
    """A stage's forward, backward and update on jax arrays.

    They read the model as it was at the start of the tick, `old`, and write what they change into
    `new`. `valid` is False in a bubble, which changes nothing, and the constant True where there
    are no bubbles.
    """

    job: Job
    stage: Stage
    delay: int
    run_forward: Callable[..., Sequence[Array]]
    run_backward: Callable[..., Sequence[Array]]

    def predict(self, old: Model, rate: Array) -> list[Array]:
        """The weights the forward uses."""
        rule, weights = self.job.rule, self.weights(old)
        return [
            rule.predict(value, old.optimizer[name], self.delay, rate.astype(value.dtype), jnp)
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
        new.state.update(zip(names, _keep(valid, list(result.state), state), strict=True))
        return result

    def backward(
        self,
        old: Model,
        new: Model,
        weights: Sequence[Array],
        saved: Sequence[Array],
        gradients: Sequence[Array],
        valid: Array | bool,
    ) -> wiring.BackwardResult[Array]:
        """The backward program; advances the backward state."""
        names = self.stage.backward_state
        state = [old.state[name] for name in names]
        values = self.run_backward(*weights, *state, *saved, *gradients)
        result = wiring.backward_result(self.stage, values)
        new.state.update(zip(names, _keep(valid, list(result.state), state), strict=True))
        return result

    def update(
        self, old: Model, new: Model, gradients: Sequence[Array], rate: Array, valid: Array | bool
    ) -> None:
        """Advance the weights and the optimizer state."""
        for name, gradient in zip(self.stage.parameters, gradients, strict=True):
            if name in old.masks:  # a select, not a product: NaN times zero is NaN
                gradient = jnp.where(old.masks[name], gradient, 0)
            weight, state = old.weights[name], old.optimizer[name]
            own_rate = rate.astype(weight.dtype)
            after = self.job.rule.update(weight, gradient, state, self.delay, own_rate, jnp)
            new.weights[name], new.optimizer[name] = _keep(valid, after, (weight, state))


def stage_functions(job: Job, delay: Callable[[int], int]) -> list[StageFunctions]:
    """All stages of a job in order; a program that several stages share is lowered once."""
    programs = {stage.program.key: stage.program for stage in job.stages.stages}
    lowered = {key: (lower(p.forward), lower(p.backward)) for key, p in programs.items()}
    return [
        StageFunctions(job, stage, delay(stage.index), *lowered[stage.program.key])
        for stage in job.stages.stages
    ]


def _keep(valid: Array | bool, new: Any, old: Any) -> Any:
    """Trees of arrays: `new`, or `old` in a bubble, with the dtypes of `old`."""
    if valid is True:
        return jax.tree.map(lambda n, o: n.astype(o.dtype), new, old)
    return jax.tree.map(lambda n, o: jnp.where(valid, n.astype(o.dtype), o), new, old)
