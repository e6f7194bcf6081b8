"""The samples that a self-paced sampler takes, while their losses arrive with the delay of the
pipeline."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from ....backend.errors import UserError
from ....backend.pacing import PacedPass, SelfPacedSampler
from ...data import Chunk
from ...tick.job import Stream
from .order import chunk_sizes


class SelfPaced:
    """An `Order` of passes, each chosen by the losses that have come out when it begins.

    The pipeline is not drained between passes: the losses of the last samples of a pass, as many as
    there are stages but one, count from the pass after the next on.
    """

    def __init__(self, sampler: SelfPacedSampler) -> None:
        self._sampler = sampler
        self._fed = 0
        """Samples of the present pass that were fed."""
        self._first = 0
        """Number of the first sample whose loss has not come out."""
        self._in_flight = np.empty(0, np.int64)
        """Indices of the samples from `_first` on that were fed."""

    def parts(self, span: range, every: Sequence[int], largest: int) -> Iterator[Iterator[Chunk]]:
        """A part for each pass."""
        first = span.start
        while first < span.stop:
            left = self._left()[: span.stop - first]
            yield self._chunks(first, left, every, largest)
            first += len(left)

    def of(self, samples: range) -> np.ndarray:
        """Indices of samples by their numbers."""
        known = np.concatenate([self._in_flight, self._left()])
        return known[samples.start - self._first : samples.stop - self._first]

    def fed(self, count: int, losses: Stream) -> tuple[PacedPass, ...]:
        """Keep what came out for the sampler; end the pass if all of it was fed."""
        self._in_flight = np.concatenate([self._in_flight, self._left()[:count]])
        self._fed += count
        values = np.asarray(losses.values, np.float64).reshape(-1)
        arrived, self._in_flight = np.split(self._in_flight, [len(values)])
        self._sampler.record(arrived, values, self._first + np.arange(len(values)))
        self._first += len(values)
        if len(self._left()):
            return ()
        self._fed = 0
        return (self._sampler.advance(),)

    def state(self) -> dict[str, Tensor]:
        """The sampler's state and what is in flight."""
        own = {"fed": np.array(self._fed), "in_flight": self._in_flight.copy()}
        return {n: torch.from_numpy(v) for n, v in {**self._sampler.state(), **own}.items()}

    def restore(self, samples: int, tensors: Mapping[str, Tensor]) -> None:
        """Raises UserError for a run of a random order, and for other data."""
        if not tensors:
            raise UserError(
                "resume",
                expected="data.sampler random, with which the run began",
                got="self_paced",
                change="leave data.sampler as it was",
            )
        state = {name: value.numpy() for name, value in tensors.items()}
        self._fed, self._in_flight = int(state["fed"]), state["in_flight"].copy()
        self._first = samples - len(self._in_flight)
        self._sampler.restore(state)

    def _left(self) -> np.ndarray:
        """Indices of what is not yet fed of the present pass, in order."""
        return self._sampler.order()[self._fed :]

    def _chunks(
        self, first: int, indices: np.ndarray, every: Sequence[int], largest: int
    ) -> Iterator[Chunk]:
        number = self._sampler.number
        for at, count in chunk_sizes(range(first, first + len(indices)), every, largest):
            yield Chunk(at, number, indices[at - first : at - first + count])
