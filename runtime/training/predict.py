"""Plain inference: a plan's predictions, nothing trained."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...backend.errors import UserError
from ...compiler.plan.document import TRAINING_ONLY, PlanDocument
from ...compiler.plan.program import HOST, Source, StageProgram, Stages
from ..data.to_array import to_array
from ..executors import evaluate
from ..tick.job import Job
from .data_fit import Bound, check_shape

_WHERE = "inputs to predict"


def as_rows(inputs: object) -> list[np.ndarray]:
    """What a user gave to predict: an array or a tensor (N, ...), or one for each input.

    Raises UserError for what is none, and for what has no dense real numbers.
    """
    given = list(inputs) if isinstance(inputs, list | tuple) else [inputs]
    arrays = [to_array(_WHERE, value) for value in given]
    if not all(array.ndim and len(array) for array in arrays):
        raise UserError(
            _WHERE,
            expected="an array (N, ...) for each input that predictions depend on",
            got="an array without rows" if all(a.ndim for a in arrays) else "a single number",
            change="give arrays with one row per sample",
        )
    return arrays


def predict(
    job: Job, inputs: Sequence[np.ndarray], executor: str, device: str | None
) -> tuple[np.ndarray, ...]:
    """Each prediction as an array with one row per sample.

    Inputs that no prediction depends on, such as labels, may be left out. Raises UserError for
    inputs that do not fit, UnknownNameError for an executor, DeviceError for a device not there.
    """
    arrays = _with_unread(job.stages, inputs)
    specs = enumerate(job.stages.model_inputs)
    for array, (number, spec) in zip(arrays, specs, strict=False):
        check_shape(_WHERE, spec, array.shape[1:])
        Bound.of(job.stages, number).check(_WHERE, array)
    return evaluate(executor, job, arrays, device)


def warn_of_mode(document: PlanDocument) -> None:
    """A warning where the model in evaluation mode predicts something else than its plan."""
    if document.witness.endswith(TRAINING_ONLY):
        warnings.warn(
            f"predictions of the plan of {document.model} are those of its training mode without"
            " dropout; in evaluation mode the model itself predicts something else (`if"
            " self.training`, statistics, noise): for that, write the weights back and call it",
            stacklevel=3,
        )


def write_predictions(predictions: Sequence[np.ndarray], file: Path) -> None:
    """Write them to an .npz file, which appears whole or not at all: one as `prediction`, several
    as `prediction_0` and so on."""
    names = ["prediction"]
    if len(predictions) != 1:
        names = [f"prediction_{number}" for number in range(len(predictions))]
    arrays: dict[str, Any] = dict(zip(names, predictions, strict=True))
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_name(f".{file.name}.{os.getpid()}.npz")
    try:
        np.savez(part, **arrays)
        part.replace(file)
    finally:
        part.unlink(missing_ok=True)


def _with_unread(stages: Stages, inputs: Sequence[np.ndarray]) -> Sequence[np.ndarray]:
    """All model inputs: zeros for those that were left out because no prediction reads them."""
    read = sorted(source.output for source in _read(stages) if source.stage == HOST)
    if len(inputs) != len(read) or not read:
        return inputs
    given, count = dict(zip(read, inputs, strict=True)), len(inputs[0])
    return [
        given[number] if number in given else np.zeros((count, *spec.shape), spec.host_dtype)
        for number, spec in enumerate(stages.model_inputs)
    ]


def _read(stages: Stages) -> set[Source]:
    """All values that the predictions depend on, operator by operator."""
    needed = set(stages.predictions)
    for stage in reversed(stages.stages):
        numbers = [source.output for source in needed if source.stage == stage.index]
        needed |= {stage.inputs[place] for place in _inputs_behind(stage.program, numbers)}
    return needed


def _inputs_behind(program: StageProgram, outputs: Sequence[int]) -> list[int]:
    """Which of a program's inputs some of its outputs depend on."""
    graph = program.forward.graph
    results: Any = graph.output_node().args[0]
    known = {results[number] for number in outputs}
    for node in reversed(list(graph.nodes)):
        if node in known:
            known |= {*node.all_input_nodes}
    places = graph.find_nodes(op="placeholder")[-len(program.inputs) :] if program.inputs else []
    return [number for number, place in enumerate(places) if place in known]
