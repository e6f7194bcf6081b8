"""Predictions for many samples, a batch at a time, by a program compiled at its first use."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from ...compiler.plan.program import Stages
from ..tick.job import Job
from ..tick.rows import in_batches
from .compile import compile_program
from .home import OneDevice
from .ops.lower import jax_dtype, kept_whole

BATCH = 60
"""Samples that are evaluated at once, on each device that evaluates."""


class Evaluation:
    """The forward of `job` where `home` says; `compile_seconds` is what compiling took so far."""

    def __init__(self, job: Job, home: Any) -> None:
        self._job, self._home = job, home
        self._program: Any = None
        self.compile_seconds = 0.0

    def __call__(self, pipeline: Any, inputs: Sequence[np.ndarray]) -> tuple[np.ndarray, ...]:
        """Predictions (N, ...) with the weights and the normalization state of `pipeline`."""
        rows = BATCH * self._home.batches

        def predict(arrays: list[np.ndarray], _: int) -> list[np.ndarray]:
            batch = typed_samples(self._job.stages, arrays)
            if self._program is None:
                began = time.perf_counter()
                self._program = compile_program(jax.jit(self._home.predict), pipeline, batch)
                self.compile_seconds = time.perf_counter() - began
            return list(map(np.asarray, self._program(pipeline, batch)))

        return in_batches(self._job.stages, inputs, rows, predict)


def evaluate(job: Job, inputs: Sequence[np.ndarray]) -> tuple[np.ndarray, ...]:
    """Predictions with the start values of `job`, without a program that trains."""
    home = OneDevice(job, "sequential")
    return Evaluation(job, home)(home.start(), inputs)


def typed_samples(stages: Stages, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Samples in the types of the model's inputs, as far as jax has them.

    Raises UserError for whole numbers that it has not.
    """
    types = [jax_dtype(spec.torch_dtype) for spec in stages.model_inputs]
    return [kept_whole(array, own) for array, own in zip(arrays, types, strict=True)]


def canonical(array: np.ndarray) -> np.ndarray:
    """64-bit types become 32-bit unless jax has x64 enabled."""
    return array.astype(jax.dtypes.canonicalize_dtype(array.dtype))
