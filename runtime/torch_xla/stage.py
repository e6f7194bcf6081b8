"""One stage on torch_xla: its programs, its update rule, and bubbles that change nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from ...compiler.plan.program import Stage, TensorSpec
from ..tick import wiring
from ..tick.job import Job
from ..tick.shard import spec_of
from ..tick.train_state import Model, Tensors
from .trace import Traced, Tree, like, lower, trace

for _node in (Model, wiring.ForwardResult, wiring.BackwardResult):
    pytree.register_dataclass(_node)


@dataclass(frozen=True)
class StageFunctions:
    """A stage's forward and backward on tensors; `model` holds what belongs to the stage.

    `valid` is a boolean scalar, false in a bubble, which changes nothing. `rate` is a scalar.
    """

    job: Job
    stage: Stage
    delay: int
    run_forward: Callable[..., Sequence[Tensor]]
    run_backward: Callable[..., Sequence[Tensor]]

    def forward(
        self, model: Model, inputs: Sequence[Tensor], rate: Tensor, valid: Tensor
    ) -> tuple[wiring.ForwardResult[Tensor], list[Tensor], Tensors]:
        """The forward program's results, the weights it used, and the forward state after it."""
        weights = [self._predicted(model, name, rate) for name in self.stage.parameters]
        names = self.stage.forward_state
        state = [model.state[name] for name in names]
        result = wiring.forward_result(self.stage, self.run_forward(*weights, *state, *inputs))
        return result, weights, _advanced(names, valid, result.state, state)

    def backward(
        self,
        model: Model,
        weights: Sequence[Tensor],
        saved: Sequence[Tensor],
        arrived: Sequence[Tensor],
        rate: Tensor,
        valid: Tensor,
    ) -> tuple[list[Tensor], Model]:
        """The gradients of the inputs, and what of `model` changes.

        `arrived` has a gradient for each output that needs one; the loss itself for the loss.
        """
        names = self.stage.backward_state
        state = [model.state[name] for name in names]
        outputs = wiring.gradient_outputs(self.stage)
        gradients = [
            loss_gradient(value) if output == self.job.stages.loss else value
            for output, value in zip(outputs, arrived, strict=True)
        ]
        values = self.run_backward(*weights, *state, *saved, *gradients)
        result = wiring.backward_result(self.stage, values)
        changed = Model({}, {}, _advanced(names, valid, result.state, state), {}, {}, {}, {})
        if wiring.trained(self.stage):
            self._update(model, changed, result.parameters, rate, valid)
        return list(result.inputs), changed

    def _predicted(self, model: Model, name: str, rate: Tensor) -> Tensor:
        weight = model.weights[name]
        own_rate = rate.to(weight.dtype)
        return self.job.rule.predict(weight, model.optimizer[name], self.delay, own_rate, torch)

    def _update(
        self, old: Model, new: Model, gradients: Sequence[Tensor], rate: Tensor, valid: Tensor
    ) -> None:
        """Advance the weights and the optimizer state, unless a gradient is not finite."""
        names = wiring.trained(self.stage)
        masked = [  # a select, not a product: NaN times zero is NaN
            torch.where(old.masks[name], gradient, 0) if name in old.masks else gradient
            for name, gradient in zip(names, gradients, strict=True)
        ]
        usable, is_finite = self.job.guard(masked, torch)
        key = str(self.stage.index)
        new.skips[key] = _keep(valid, _counted(old.skips[key], is_finite), old.skips[key])
        valid = valid & is_finite
        for name, gradient in zip(names, usable, strict=True):
            weight, state = old.weights[name], old.optimizer[name]
            rated = self.delay, rate.to(weight.dtype), torch, valid
            new.weights[name], new.optimizer[name] = self.job.rule.update(
                weight, gradient, state, *rated
            )
        if key in old.steps:
            self._collect(old, new, gradients, valid)

    def _collect(self, old: Model, new: Model, gradients: Sequence[Tensor], valid: Tensor) -> None:
        """Count the update, and add up dense gradients for the mask updates to come."""
        key = str(self.stage.index)
        step = old.steps[key] + 1
        new.steps[key] = _keep(valid, step, old.steps[key])
        for name, gradient in zip(wiring.trained(self.stage), gradients, strict=True):
            if name in old.collected:
                counts = valid & self.job.mask_rules[name].collects(step, torch)
                total = old.collected[name]
                new.collected[name] = _keep(counts, total + gradient, total)


@dataclass(frozen=True)
class TracedStage:
    """A stage's functions as computations; see `StageFunctions`."""

    stage: Stage
    delay: int
    forward: Traced
    backward: Traced


def traced_stages(
    job: Job, model: Model, rate: Tensor, delay: Callable[[int], int]
) -> list[TracedStage]:
    """All stages of a job in order. `model` and `rate` have the shapes and types to expect.

    Raises UnsupportedError for an operator that torch_xla does not lower.
    """
    programs = {stage.program.key: stage.program for stage in job.stages.stages}
    lowered = {key: (lower(p.forward), lower(p.backward)) for key, p in programs.items()}
    functions = [
        StageFunctions(job, stage, delay(stage.index), *lowered[stage.program.key])
        for stage in job.stages.stages
    ]
    return [_traced(own, model.of(own.stage), rate) for own in functions]


def _traced(functions: StageFunctions, model: Model, rate: Tensor) -> TracedStage:
    stage, valid = functions.stage, like((), torch.bool)
    inputs = [_like(spec) for spec in stage.program.inputs]
    weights = [model.weights[name] for name in stage.parameters]
    saved = [_like(spec) for spec in stage.program.saved]
    pipeline = functions.job.stages
    arrived = [_like(spec_of(pipeline, output)) for output in wiring.gradient_outputs(stage)]
    forward = trace(functions.forward, model, inputs, rate, valid)
    backward = trace(functions.backward, model, weights, saved, arrived, rate, valid)
    return TracedStage(stage, functions.delay, forward, backward)


def _like(spec: TensorSpec) -> Tensor:
    return like(spec.shape, spec.torch_dtype)


def loss_gradient(loss: Tensor) -> Tensor:
    """1, or NaN for a loss that is not finite, which makes every stage skip the sample's update."""
    return torch.where(torch.isfinite(loss), torch.ones_like(loss), torch.nan)


def _advanced(
    names: Sequence[str], valid: Tensor, new: Sequence[Tensor], old: Sequence[Tensor]
) -> Tensors:
    """Normalization state after a sample: `new`, or `old` in a bubble or if not all is finite."""
    for value in new:
        valid = torch.isfinite(value).all() & valid
    return dict(zip(names, _keep(valid, list(new), list(old)), strict=True))


def _counted(skips: Tensor, is_finite: Tensor) -> Tensor:
    """(total, current, longest) after one more sample, as `job.Skips` counts."""
    total, current, longest = skips.unbind()
    current = torch.where(is_finite, torch.zeros_like(current), current + 1)
    return torch.stack([total + (~is_finite).int(), current, torch.maximum(longest, current)])


def _keep(valid: Tensor, new: Tree, old: Tree) -> Tree:
    """Trees of tensors: `new`, or `old` in a bubble, with the types of `old`."""
    return pytree.tree_map(lambda n, o: torch.where(valid, n.to(o.dtype), o), new, old)
