"""The stages of a job as XLA computations that a tick calls."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from ...compiler.plan.program import Stage, StageProgram, TensorSpec
from ...compiler.plan.schedule import TickSchedule, spec_of
from ...compiler.witness.evaluation import evaluation_forward
from ..tick.job import Job
from ..tick.stage import Programs, StageBackward, StageForward, StageFunctions
from ..tick.train_state import Pipeline, TrainedModel
from .trace import TracedComputation, like, lower, trace

for _node in (TrainedModel, Pipeline):
    pytree.register_dataclass(_node)


@dataclass(frozen=True)
class TracedStage:
    """A stage's functions as computations; see `StageFunctions`."""

    stage: Stage
    forward: Callable[..., StageForward]
    backward: Callable[..., StageBackward]
    update: Callable[..., TrainedModel]


@dataclass(frozen=True)
class TracedEvaluation:
    """A stage's forward without draws as a computation."""

    stage: Stage
    evaluate: TracedComputation


def stage_functions(job: Job, schedule: TickSchedule) -> list[StageFunctions]:
    """All stages of a job in order; a program that several stages share is lowered once."""
    programs = {stage.program.key: stage.program for stage in job.stages.stages}
    lowered = {key: _lowered(program) for key, program in programs.items()}
    return [
        StageFunctions(job, s, schedule.delay(s.index), lowered[s.program.key], torch)
        for s in job.stages.stages
    ]


def traced_stage(
    functions: StageFunctions, model: TrainedModel, rate: Tensor, has_bubbles: bool
) -> TracedStage:
    """`model` and `rate` have the shapes and types to expect.

    Raises UnsupportedError for an operator that torch_xla does not lower.
    """
    stage, stages, own = functions.stage, functions.job.stages, model.of(functions.stage)
    valid = like((), torch.bool) if has_bubbles else True
    weights = [own.weights[name] for name in stage.parameters]
    arrived = [_like(spec_of(stages, output)) for output in stage.gradient_outputs]
    program = stage.program
    arguments = [*_likes(program.saved), *arrived, *_likes(program.arriving_specs)]
    gradients = [own.weights[name] for name in stage.trained]
    squares = [like((), torch.promote_types(g.dtype, torch.float32)) for g in gradients]
    return TracedStage(
        stage,
        trace(functions.forward, own, _likes(stage.program.inputs), rate, valid),
        trace(functions.backward, own, weights, arguments, valid),
        trace(functions.update, own, gradients, squares, rate, valid)
        if gradients
        else functions.update,
    )


def traced_evaluation(functions: StageFunctions, model: TrainedModel) -> TracedEvaluation:
    """The same for the forward without draws."""
    stage = functions.stage
    inputs = _likes(stage.program.inputs)
    return TracedEvaluation(stage, trace(functions.evaluate, model.of(stage), inputs))


def _lowered(program: StageProgram) -> Programs:
    count = sum(program.trainable)
    run = lower(program.backward, count)

    def backward(*arguments: Tensor) -> tuple[Sequence[Tensor], Sequence[Tensor]]:
        values = run(*arguments)
        results = len(values) - count
        return values[:results], values[results:]

    return Programs(lower(program.forward), backward, lower(evaluation_forward(program)))


def _likes(specs: Sequence[TensorSpec]) -> list[Tensor]:
    return list(map(_like, specs))


def _like(spec: TensorSpec) -> Tensor:
    return like(spec.shape, spec.torch_dtype)
