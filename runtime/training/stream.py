"""The samples of a run, chunk by chunk, read ahead while the executor trains."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from itertools import starmap, tee

import numpy as np

from ..data import Chunk, Splits
from .data_fit import Fit
from .order import Order


def chunk_sizes(span: range, every: Sequence[int], largest: int) -> Iterator[tuple[int, int]]:
    """The first sample and the size of each chunk of a span.

    Chunks end at all multiples of each of `every`, counted from the run's start.
    """
    first = span.start
    while first < span.stop:
        count = min(largest, span.stop - first, *(mark - first % mark for mark in every))
        yield first, count
        first += count


class Stream:
    """Chunks of these first samples and sizes, in the order of a run; `workers` read ahead.

    `waited_s` is how long the run has waited for them.
    """

    def __init__(
        self, data: Splits, order: Order, fit: Fit, plan: Iterable[tuple[int, int]], workers: int
    ) -> None:
        self._data, self._order, self._fit = data, order, fit
        self._plan, ahead = tee(plan)
        self._read = data.train.stream(starmap(self._chunk, ahead), workers)
        self.waited_s = 0.0

    def __iter__(self) -> Iterator[tuple[int, list[np.ndarray]]]:
        """The number of samples in a chunk, and the chunk."""
        for _, count in self._plan:
            began = time.perf_counter()
            arrays = next(self._read)
            self.waited_s += time.perf_counter() - began
            if not self._data.train.in_memory:
                self._fit.check(arrays)
            yield count, arrays

    def close(self) -> None:
        """Stop reading ahead."""
        self._read.close()

    def _chunk(self, first: int, count: int) -> Chunk:
        epoch, offset = divmod(first, len(self._data.train))
        return Chunk(first, epoch, self._order(epoch)[offset : offset + count])
