"""Samples into dispatches of many ticks: what the executors through XLA have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from ...compiler.plan.schedule import TickSchedule
from .job import Job, Results, Skips, Stream, sample_arrays
from .mask_updates import steps_made, ticks_until_update
from .rows import came_out, joined, padded
from .snapshot import NamedTensors, mapped, named_arrays, renewed
from .train_state import Array, Pipeline, TrainedModel


class Dispatches(ABC):
    """Runs a job in dispatches of at most `chunk` ticks; the tick of a mask update ends one.

    The subclass has the pipeline's state and the compiled program. Between dispatches `tick` ticks
    were done and `fed` samples fed, `first_fed` of them before the present fill of the pipeline.
    """

    job: Job
    chunk: int
    schedule: TickSchedule

    def feed(self, inputs: Sequence[np.ndarray]) -> Results:
        """Feed samples, one tick each; returns what came out meanwhile."""
        arrays = sample_arrays(self.job.stages, inputs)
        parts = []
        for start in range(0, len(arrays[0]), self.chunk):
            part = [array[start : start + self.chunk] for array in arrays]
            self.fed += len(part[0])
            parts += self._run(part, len(part[0]))
        return joined(parts, len(self.job.stages.results))

    def flush(self) -> Results:
        """Stop feeding and tick until the pipeline is empty; the next sample starts a new fill."""
        parts = []
        for start in range(0, self.schedule.lag, self.chunk):
            parts += self._run([], min(self.chunk, self.schedule.lag - start))
        self.tick = self.first_fed = self.fed
        return joined(parts, len(self.job.stages.results))

    def tensors(self) -> dict[str, Tensor]:
        """Current parameters and normalization state by model name."""
        current = {**self.model.weights, **self.model.state}
        return {name: self._tensor(value) for name, value in current.items()}

    def statistics(self) -> dict[str, Tensor]:
        """Current statistics of normalizations by model name."""
        state = self.model.state
        return {name: self._tensor(state[name]) for name in self.job.statistics}

    def masks(self) -> dict[str, Tensor]:
        """Current masks by parameter name."""
        return {name: self._tensor(value) for name, value in self.model.masks.items()}

    def skips(self) -> tuple[Skips, ...]:
        """For each stage, the updates skipped because a gradient or the loss was not finite."""
        counts, keys = self.model.skips, [str(stage.index) for stage in self.job.stages.stages]
        rows = (self._tensor(counts[key]).tolist() if key in counts else () for key in keys)
        return tuple(Skips(*row) for row in rows)

    def snapshot(self) -> dict[str, Tensor]:
        """All that training goes on from, by name, as copies; see snapshot.py for the names."""
        position = torch.tensor([self.tick, self.first_fed, self.fed])
        arrays = named_arrays(self._gathered(), self.schedule)
        return {"position": position, **{n: self._tensor(array) for n, array in arrays.items()}}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Become the executor that gave the snapshot; raises UserError for one of another job."""
        given = NamedTensors(renewed(tensors, self.schedule))
        position = given.take("position", torch.zeros(3, dtype=torch.int64))
        whole = mapped(
            lambda name, form: self._array(given.take(name, _like(form)), form),
            self._form(),
            self.schedule,
        )
        given.check_empty()
        self.tick, self.first_fed, self.fed = position.tolist()
        self._place(whole)

    @property
    @abstractmethod
    def model(self) -> TrainedModel:
        """What training changes."""

    @abstractmethod
    def _rows(self, inputs: Sequence[np.ndarray], count: int) -> Sequence[np.ndarray]:
        """Run `count` ticks; each result, the loss first, with a row for every tick."""

    @abstractmethod
    def _update_masks(self, steps: dict[str, int]) -> None:
        """Do the mask updates that are due; `steps` were made before the dispatch."""

    @abstractmethod
    def _gathered(self) -> Pipeline:
        """The state with a model by the stages' names and a buffer for each of the schedule's."""

    @abstractmethod
    def _form(self) -> Pipeline:
        """Anything with shapes and dtypes in place of the arrays of `_gathered`."""

    @abstractmethod
    def _place(self, whole: Pipeline) -> None:
        """The inverse of `_gathered`, for arrays on the host that `_array` gave."""

    @abstractmethod
    def _tensor(self, array: Array) -> Tensor:
        """A copy of an array of the state on the CPU."""

    @abstractmethod
    def _array(self, tensor: Tensor, form: Array) -> Array:
        """A tensor of a snapshot as an array of the type of `form`."""

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
        streams = [
            came_out(rows, self.tick - age, fed, count)
            for age, rows in zip(self.schedule.result_ages, made, strict=True)
        ]
        self.tick += count
        return streams

    def _samples(self, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
        """The samples of a dispatch, or none, in arrays of its fixed size."""
        specs = self.job.stages.model_inputs
        given = inputs or [np.empty((0, *spec.shape), spec.host_dtype) for spec in specs]
        return [padded(array, self.chunk) for array in given]

    def _rates(self) -> np.ndarray:
        """The learning rates that a dispatch from here on may read."""
        first = self.tick - self.schedule.lag
        count = self.chunk + self.schedule.rates_read - 1
        return np.array([self.job.rate(first + n) for n in range(count)])


def _like(form: Array) -> Tensor:
    """Shape and dtype of an array of torch or jax."""
    dtype = getattr(torch, str(form.dtype).removeprefix("torch."))
    return torch.empty(form.shape, dtype=dtype, device="meta")
