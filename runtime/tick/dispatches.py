"""Samples into dispatches of many ticks: what the executors through XLA have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Protocol

import numpy as np

from ...compiler.plan.program import Source
from .job import Job, Results, Stream, sample_arrays
from .mask_updates import steps_made, ticks_until_update
from .rows import came_out, joined, padded
from .train_state import Model


class TickFunction(Protocol):
    """What dispatches have to know of the tick that they repeat."""

    results: Sequence[Source]
    result_lags: Sequence[int]
    lag: int
    drain_ticks: int
    rates_read: int

    def update_lag(self, stage: int) -> int:
        """Ticks from a sample's feeding to its update of a stage."""
        ...


class Dispatches(ABC):
    """Runs a job in dispatches of at most `chunk` ticks; the tick of a mask update ends one.

    The subclass has the pipeline's state and the compiled program. Between dispatches `tick` ticks
    were done and `fed` samples fed, `first_fed` of them before the present fill of the pipeline.
    """

    job: Job
    chunk: int
    tick_function: TickFunction

    def feed(self, inputs: Sequence[np.ndarray]) -> Results:
        """Feed samples, one tick each; returns what came out meanwhile."""
        arrays = sample_arrays(self.job.stages, inputs)
        parts = []
        for start in range(0, len(arrays[0]), self.chunk):
            part = [array[start : start + self.chunk] for array in arrays]
            self.fed += len(part[0])
            parts += self._run(part, len(part[0]))
        return joined(parts, len(self.tick_function.results))

    def flush(self) -> Results:
        """Stop feeding and tick until the pipeline is empty; the next sample starts a new fill."""
        parts = []
        for start in range(0, self.tick_function.drain_ticks, self.chunk):
            parts += self._run([], min(self.chunk, self.tick_function.drain_ticks - start))
        self.tick = self.first_fed = self.fed
        return joined(parts, len(self.tick_function.results))

    def update_lag(self, stage: int) -> int:
        """Ticks from a sample's feeding to its update of a stage."""
        return self.tick_function.update_lag(stage)

    @property
    @abstractmethod
    def model(self) -> Model:
        """What training changes."""

    @abstractmethod
    def _rows(self, inputs: Sequence[np.ndarray], count: int) -> Sequence[np.ndarray]:
        """Run `count` ticks; each result, the loss first, with a row for every tick."""

    @abstractmethod
    def _update_masks(self, steps: dict[str, int]) -> None:
        """Do the mask updates that are due; `steps` were made before the dispatch."""

    def _begin(self) -> None:
        """Nothing was fed yet."""
        self.tick = self.first_fed = self.fed = 0

    def _run(self, inputs: Sequence[np.ndarray], count: int) -> list[list[Stream]]:
        """Run `count` ticks; what came out of each dispatch."""
        parts, done = [], 0
        while done < count:
            ticks = min(count - done, ticks_until_update(self) or count)
            steps = steps_made(self)
            parts.append(self._dispatch([array[done : done + ticks] for array in inputs], ticks))
            self._update_masks(steps)
            done += ticks
        return parts

    def _dispatch(self, inputs: Sequence[np.ndarray], count: int) -> list[Stream]:
        """Run `count` ticks; the loss and each prediction of the samples that came out."""
        made, fed = self._rows(inputs, count), range(self.first_fed, self.fed)
        lags = self.tick_function.result_lags
        streams = [
            came_out(rows, self.tick - lag, fed, count)
            for lag, rows in zip(lags, made, strict=True)
        ]
        self.tick += count
        return streams

    def _samples(self, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
        """The samples of a dispatch, or none, in arrays of its fixed size."""
        specs = self.job.stages.model_inputs
        given = inputs or [np.empty((0, *spec.shape), spec.dtype) for spec in specs]
        return [padded(array, self.chunk) for array in given]

    def _rates(self) -> np.ndarray:
        """The learning rates that a dispatch from here on may read."""
        first = self.tick - self.tick_function.lag
        count = self.chunk + self.tick_function.rates_read - 1
        return np.array([self.job.rate(first + n) for n in range(count)])
