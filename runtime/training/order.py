"""The order of the training samples."""

from __future__ import annotations

import numpy as np

from ..data import Splits


class Order:
    """The order of the training samples; the latest epoch asked for is kept."""

    def __init__(self, data: Splits, seed: int) -> None:
        self._data, self._seed = data, seed
        self._epoch, self._order = -1, np.empty(0, dtype=np.int64)

    def __call__(self, epoch: int) -> np.ndarray:
        """Indices of the training samples in the order of an epoch."""
        if self._epoch != epoch:
            self._epoch, self._order = epoch, self._data.order(epoch, self._seed)
        return self._order

    def of(self, samples: range) -> np.ndarray:
        """Indices of the samples with these numbers, counted over all epochs."""
        size = len(self._data.train)
        return np.array([self(number // size)[number % size] for number in samples])
