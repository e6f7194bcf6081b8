"""Stage programs as one differentiable function of torch's autograd."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ...compiler.plan.program import HOST, Source, Stage
from ..tick.row_major import row_major

Tensors = Mapping[str, Tensor]


@dataclass(frozen=True)
class Forward:
    """What the forwards of all stages made: outputs, the next state, what backwards need."""

    outputs: tuple[Tensor, ...]
    state: Tensors
    saved: tuple[tuple[Tensor, ...], ...]


@dataclass(frozen=True)
class Backward:
    """What the backwards of all stages made: gradients by parameter and input, the next state."""

    parameters: Tensors
    inputs: Mapping[int, Tensor]
    state: Tensors


@dataclass(frozen=True)
class StageFunction:
    """Stages run one after the other, without a pipeline: S stages, no delay.

    `results` says where each output is made; gradients arrive there.
    """

    stages: tuple[Stage, ...]
    results: tuple[Source, ...]

    def forward(self, tensors: Tensors, inputs: Sequence[Tensor]) -> Forward:
        """All forwards, at the parameters and state in `tensors`."""
        values = {Source(HOST, number): value for number, value in enumerate(inputs)}
        state: dict[str, Tensor] = {}
        saved = []
        for stage in self.stages:
            own = [tensors[name] for name in (*stage.parameters, *stage.forward_state)]
            given = row_major(values[source] for source in stage.inputs)
            made = stage.program.forward_result(stage.program.forward(*own, *given))
            values |= {Source(stage.index, n): value for n, value in enumerate(made.outputs)}
            state |= dict(zip(stage.forward_state, made.state, strict=True))
            saved.append(tuple(row_major(made.saved)))
        return Forward(tuple(values[source] for source in self.results), state, tuple(saved))

    def backward(
        self,
        tensors: Tensors,
        saved: Sequence[Sequence[Tensor]],
        gradients: Sequence[Tensor | None],
    ) -> Backward:
        """All backwards, last stage first, from the gradients of the outputs."""
        arrived: dict[Source, Tensor] = {}
        for source, gradient in zip(self.results, gradients, strict=True):
            _add(arrived, source, gradient)
        parameters: dict[str, Tensor] = {}
        state: dict[str, Tensor] = {}
        for stage, kept in zip(reversed(self.stages), reversed(saved), strict=True):
            own = [tensors[name] for name in (*stage.parameters, *stage.backward_state)]
            values = stage.program.backward(*own, *kept, *row_major(_tangents(stage, arrived)))
            made = stage.program.backward_result(values)
            parameters |= dict(zip(stage.trained, made.parameters, strict=True))
            state |= dict(zip(stage.backward_state, made.state, strict=True))
            for (_, position), value in zip(stage.gradient_inputs, made.inputs, strict=True):
                _add(arrived, stage.inputs[position], value)
        inputs = {s.output: gradient for s, gradient in arrived.items() if s.stage == HOST}
        return Backward(parameters, inputs, state)


def _add(arrived: dict[Source, Tensor], source: Source, gradient: Tensor | None) -> None:
    if gradient is not None:
        arrived[source] = arrived[source] + gradient if source in arrived else gradient


def _tangents(stage: Stage, arrived: Mapping[Source, Tensor]) -> list[Tensor]:
    """The gradients of the stage's outputs; zero where none arrived."""
    specs = stage.program.outputs
    return [
        arrived[source]
        if source in arrived
        else torch.zeros(specs[source.output].shape, dtype=specs[source.output].torch_dtype)
        for source in stage.gradient_outputs
    ]
