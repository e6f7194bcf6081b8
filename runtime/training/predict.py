"""Plain inference: a plan's predictions, nothing trained."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ...compiler.plan.program import HOST, Stages
from ..executors import evaluate
from ..tick.job import Job


def predict(
    job: Job, inputs: Sequence[np.ndarray], executor: str, device: str | None
) -> tuple[np.ndarray, ...]:
    """Each prediction as an array with one row per sample.

    Inputs that no prediction depends on, such as labels, may be left out. Raises UserError for
    inputs that do not fit, UnknownNameError for an executor, DeviceError for a device not there.
    """
    return evaluate(executor, job, _with_unread(job.stages, inputs), device)


def write_predictions(predictions: Sequence[np.ndarray], file: Path) -> None:
    """Write them as arr_0 and so on to an .npz file, which appears whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_name(f".{file.name}.{os.getpid()}.npz")
    try:
        np.savez(part, *predictions)
        part.replace(file)
    finally:
        part.unlink(missing_ok=True)


def _with_unread(stages: Stages, inputs: Sequence[np.ndarray]) -> Sequence[np.ndarray]:
    """All model inputs: zeros for those that were left out because no prediction reads them."""
    sources = {s for stage in stages.predicting for s in stage.inputs}
    read = sorted(source.output for source in sources if source.stage == HOST)
    if len(inputs) != len(read) or not read:
        return inputs
    given, count = dict(zip(read, inputs, strict=True)), len(inputs[0])
    return [
        given[number] if number in given else np.zeros((count, *spec.shape), spec.dtype)
        for number, spec in enumerate(stages.model_inputs)
    ]
