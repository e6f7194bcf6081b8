"""What a run asks of the order of its samples."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

import numpy as np
from torch import Tensor

from ....backend.pacing import PacedPass
from ...data import Chunk
from ...tick.job import Stream


class Order(Protocol):
    """Which training sample is fed when; samples of a run are numbered from 0."""

    def parts(self, span: range, every: Sequence[int], largest: int) -> Iterator[Iterator[Chunk]]:
        """The chunks of a span, which end at all multiples of each of `every`.

        A part may be read ahead; the next one is known once all samples before it are `fed`.
        """
        ...

    def of(self, samples: range) -> np.ndarray:
        """Indices of samples by their numbers: those just fed, and those in flight before."""
        ...

    def fed(self, count: int, losses: Stream) -> tuple[PacedPass, ...]:
        """Take note of samples fed, and of losses that came out; the passes that have ended."""
        ...

    def state(self) -> dict[str, Tensor]:
        """What the order goes on from beside the number of samples, by name."""
        ...

    def restore(self, samples: int, tensors: Mapping[str, Tensor]) -> None:
        """Become the order that gave the state `tensors` after `samples` samples.

        Raises UserError for the state of another order.
        """
        ...


def chunk_sizes(span: range, every: Sequence[int], largest: int) -> Iterator[tuple[int, int]]:
    """The first sample and the size of each chunk of a span.

    Chunks end at all multiples of each of `every`, counted from the run's start.
    """
    first = span.start
    while first < span.stop:
        count = min(largest, span.stop - first, *(mark - first % mark for mark in every))
        yield first, count
        first += count
