"""The samples of a run, chunk by chunk, read ahead while the executor trains."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from itertools import tee

import numpy as np

from ..data import Chunk, Splits
from .data_fit import Fit


class SampleStream:
    """The chunks of an order, part by part; within a part `workers` read ahead.

    `waited_s` is how long the run has waited for them.
    """

    def __init__(
        self, data: Splits, fit: Fit, parts: Iterable[Iterator[Chunk]], workers: int
    ) -> None:
        self._data, self._fit, self._workers = data, fit, workers
        self.waited_s = 0.0
        self._chunks = self._all(parts)

    def __iter__(self) -> Iterator[tuple[int, list[np.ndarray]]]:
        """The number of samples in a chunk, and the chunk."""
        return self._chunks

    def close(self) -> None:
        """Stop reading ahead."""
        self._chunks.close()

    def _all(self, parts: Iterable[Iterator[Chunk]]) -> Generator[tuple[int, list[np.ndarray]]]:
        for part in parts:
            chunks, ahead = tee(part)
            with closing(self._data.train.stream(ahead, self._workers)) as read:
                for chunk in chunks:
                    began = time.perf_counter()
                    arrays = next(read)
                    self.waited_s += time.perf_counter() - began
                    if not self._data.train.in_memory:
                        self._fit.check(arrays)
                    yield len(chunk.indices), arrays
