"""All training samples in every epoch, in an order of its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from torch import Tensor

from ....backend.errors import UserError
from ....backend.pacing import PacedPass
from ...data import Chunk, Splits
from ...tick.job import Stream
from .order import chunk_sizes


class Shuffled:
    """An `Order` by the seed and the epoch alone; the latest epoch asked for is kept."""

    def __init__(self, data: Splits, seed: int) -> None:
        self._data, self._seed = data, seed
        self._epoch, self._order = -1, np.empty(0, dtype=np.int64)

    def __call__(self, epoch: int) -> np.ndarray:
        """Indices of the training samples in the order of an epoch."""
        if self._epoch != epoch:
            self._epoch, self._order = epoch, self._data.order(epoch, self._seed)
        return self._order

    def parts(self, span: range, every: Sequence[int], largest: int) -> Iterator[Iterator[Chunk]]:
        """One part; chunks end with epochs."""
        size = len(self._data.train)
        yield (self._chunk(*at) for at in chunk_sizes(span, (size, *every), largest))

    def of(self, samples: range) -> np.ndarray:
        """Indices of samples by their numbers, counted over all epochs."""
        size = len(self._data.train)
        return np.array([self(number // size)[number % size] for number in samples])

    def fed(self, count: int, losses: Stream) -> tuple[PacedPass, ...]:
        """Losses change nothing."""
        return ()

    def state(self) -> dict[str, Tensor]:
        """Nothing."""
        return {}

    def restore(self, samples: int, tensors: Mapping[str, Tensor]) -> None:
        """Raises UserError for a run of a self-paced sampler."""
        if tensors:
            raise UserError(
                "resume",
                expected="data.sampler self_paced, with which the run began",
                got="random",
                change="leave data.sampler as it was",
            )

    def _chunk(self, first: int, count: int) -> Chunk:
        epoch, offset = divmod(first, len(self._data.train))
        return Chunk(first, epoch, self(epoch)[offset : offset + count])
