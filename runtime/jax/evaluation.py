"""Predictions for many samples, a batch at a time, by a program compiled at its first use."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from ..tick.job import Job, sample_arrays, to_rows
from ..tick.rows import padded
from .compile import compile_program
from .home import OneDevice

BATCH = 60
"""Samples that are evaluated at once, on each device that evaluates."""


class Evaluation:
    """The forward of `job` where `home` says, compiled by `compiler`."""

    def __init__(self, job: Job, home: Any, compiler: Callable[..., Any]) -> None:
        self._job, self._home, self._compile = job, home, compiler
        self._program: Any = None

    def __call__(self, pipeline: Any, inputs: Sequence[np.ndarray]) -> tuple[np.ndarray, ...]:
        """Predictions (N, ...) with the weights and the normalization state of `pipeline`."""
        arrays = sample_arrays(self._job.stages, inputs)
        count, rows = len(arrays[0]), BATCH * self._home.batches
        parts = []
        for start in range(0, count, rows):
            slices = [array[start : start + rows] for array in arrays]
            batch = [canonical(padded(array, rows)) for array in slices]
            if self._program is None:
                self._program = self._compile(jax.jit(self._home.predict), pipeline, batch)
            parts.append(self._program(pipeline, batch))
        return tuple(
            to_rows([row for part in column for row in np.asarray(part)])[:count]
            for column in zip(*parts, strict=True)
        )


def evaluate(job: Job, inputs: Sequence[np.ndarray]) -> tuple[np.ndarray, ...]:
    """Predictions with the start values of `job`, without a program that trains."""
    home = OneDevice(job, "sequential")
    return Evaluation(job, home, compile_program)(home.start(), inputs)


def canonical(array: np.ndarray) -> np.ndarray:
    """64-bit types become 32-bit unless jax has x64 enabled."""
    return array.astype(jax.dtypes.canonicalize_dtype(array.dtype))
