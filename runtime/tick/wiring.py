"""Who reads what: the edges of the stage graph, and programs' results sorted by role."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from ...compiler.plan.program import HOST, Source, Stage, Stages

Value = TypeVar("Value")
Reader = tuple[int, int]
"""A stage index and the position among its inputs."""


def readers(stages: Stages) -> dict[Source, tuple[Reader, ...]]:
    """Every value that a stage reads, with its readers in ascending stage index."""
    found: dict[Source, list[Reader]] = {}
    for stage in stages.stages:
        for position, source in enumerate(stage.inputs):
            found.setdefault(source, []).append((stage.index, position))
    return {source: tuple(sorted(where)) for source, where in found.items()}


def results(stages: Stages) -> tuple[Source, ...]:
    """What leaves the pipeline: the loss, then the predictions."""
    return (stages.loss, *stages.predictions)


def predicting(stages: Stages) -> list[Stage]:
    """The stages that the predictions depend on, in order."""
    needed = {source.stage for source in stages.predictions}
    for stage in reversed(stages.stages):
        if stage.index in needed:
            needed |= {source.stage for source in stage.inputs}
    return [stage for stage in stages.stages if stage.index in needed]


def entry_tick(source: Source) -> int:
    """Tick at which the value of sample 0 appears; the host gives sample t at tick t."""
    return 0 if source.stage == HOST else source.stage


def gradient_outputs(stage: Stage) -> list[Source]:
    """The outputs that need a gradient, in the order of the backward program's arguments."""
    needed = enumerate(stage.program.output_needs_grad)
    return [Source(stage.index, number) for number, is_needed in needed if is_needed]


def gradient_inputs(stage: Stage) -> list[Reader]:
    """The inputs that get a gradient, in the order of the backward program's results."""
    needed = enumerate(stage.program.input_needs_grad)
    return [(stage.index, position) for position, is_needed in needed if is_needed]


def trained(stage: Stage) -> list[str]:
    """The parameters that get a gradient, in the order of the backward program's results."""
    named = zip(stage.parameters, stage.program.trainable, strict=True)
    return [name for name, is_trained in named if is_trained]


@dataclass(frozen=True)
class ForwardResult(Generic[Value]):
    """The results of a forward program by role."""

    outputs: Sequence[Value]
    state: Sequence[Value]
    saved: Sequence[Value]


@dataclass(frozen=True)
class BackwardResult(Generic[Value]):
    """The results of a backward program by role."""

    parameters: Sequence[Value]
    inputs: Sequence[Value]
    state: Sequence[Value]


def forward_result(stage: Stage, values: Sequence[Value]) -> ForwardResult[Value]:
    """Sort what `program.forward` returned."""
    outputs = len(stage.program.outputs)
    state = outputs + len(stage.program.forward_state)
    return ForwardResult(values[:outputs], values[outputs:state], values[state:])


def backward_result(stage: Stage, values: Sequence[Value]) -> BackwardResult[Value]:
    """Sort what `program.backward` returned."""
    parameters = len(trained(stage))
    inputs = parameters + sum(stage.program.input_needs_grad)
    return BackwardResult(values[:parameters], values[parameters:inputs], values[inputs:])
