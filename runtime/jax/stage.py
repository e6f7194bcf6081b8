"""The stages of a job as functions of jax arrays: their programs lowered, their start values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Any

import jax
import numpy as np
import torch

from ...compiler.plan.program import Stage, StageProgram
from ...compiler.plan.schedule import TickSchedule
from ...compiler.witness.evaluation import evaluation_forward
from ..tick.job import Job, to_numpy
from ..tick.stage import Programs, StageFunctions
from ..tick.train_state import Pipeline, TrainedModel
from .namespace import XP
from .ops.lower import jax_dtype, kept_whole, lower
from .ops.predicted import Predicted

Array = Any

for _node in (TrainedModel, Pipeline):
    jax.tree_util.register_dataclass(_node, [field.name for field in fields(_node)], [])


def to_array(tensor: torch.Tensor) -> np.ndarray:
    """A torch tensor as an array of its own (64-bit types only where jax has x64 enabled)."""
    return kept_whole(to_numpy(tensor.detach().cpu()), jax_dtype(tensor.dtype))


def start_model(job: Job, stages: Sequence[Stage]) -> TrainedModel:
    """The start values of some stages of a job, on the host.

    Made on the device, XLA would compile a program for every shape.
    """
    return TrainedModel.start(job, stages, to_array, np)


def stage_functions(job: Job, schedule: TickSchedule) -> dict[int, StageFunctions]:
    """Those of the stages in a schedule; a program that several stages share is lowered once."""
    stages = [job.stages.stages[step.stage] for step in schedule.forwards]
    programs = {stage.program.key: stage.program for stage in stages}
    lowered = {key: _lowered(program) for key, program in programs.items()}
    return {
        stage.index: StageFunctions(
            job, stage, schedule.delay(stage.index), lowered[stage.program.key], XP, Predicted
        )
        for stage in stages
    }


def _lowered(program: StageProgram) -> Programs:
    squares = sum(program.trainable)
    return Programs(
        lower(program.forward),
        _with_squares(lower(program.backward, squares), squares),
        lower(evaluation_forward(program)),
    )


def _with_squares(run: Callable[..., Sequence[Array]], squares: int) -> Callable[..., Any]:
    """Results, and the sums of squares, or factors, that come after them."""

    def backward(*arguments: Array) -> tuple[Sequence[Array], Sequence[Array]]:
        values = run(*arguments)
        results = len(values) - squares
        return values[:results], values[results:]

    return backward
