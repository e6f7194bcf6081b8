"""Tests of a model while it trains, which leave the samples in flight alone."""

from __future__ import annotations

import numpy as np

from ..data import Dataset
from ..tick.job import Executor, Results
from .scores import Score, class_axes, likely_axis, score


class Order:
    """The order of the training samples; the latest epoch asked for is kept."""

    def __init__(self, data: Dataset, seed: int) -> None:
        self._data, self._seed = data, seed
        self._epoch, self._order = -1, np.empty(0, dtype=np.int64)

    def __call__(self, epoch: int) -> np.ndarray:
        """Indices of the training samples in the order of an epoch."""
        if self._epoch != epoch:
            self._epoch, self._order = epoch, self._data.order(epoch, self._seed)
        return self._order

    def of(self, samples: range) -> np.ndarray:
        """Indices of the samples with these numbers, counted over all epochs."""
        size = len(self._data.x_train)
        return np.array([self(number // size)[number % size] for number in samples])


class Tester:
    """Scores the predictions for the test samples.

    Where a model gives as many class scores as there are labels in a sample, the shapes do not say
    which axis is the classes; the losses of the first training samples do.
    """

    def __init__(self, machine: Executor, data: Dataset, order: Order) -> None:
        self._machine, self._data, self._order = machine, data, order
        self._axis: int | None = None

    def watch(self, results: Results) -> None:
        """Look at what came out of training until the axis of the classes is known."""
        if self._axis is not None or not results.predictions or not len(results.losses.values):
            return
        predictions, losses = results.predictions[0], results.losses
        first = max(predictions.first, losses.first)
        count = min(len(s.values) - (first - s.first) for s in (predictions, losses))
        if count < 1:
            return
        axes = class_axes(
            predictions.values.shape, (len(predictions.values), *self._data.y_train.shape[1:])
        )
        rows = slice(first - predictions.first, first - predictions.first + count)
        self._axis = likely_axis(
            axes,
            predictions.values[rows],
            self._data.y_train[self._order.of(range(first, first + count))],
            losses.values[first - losses.first :][:count].reshape(-1),
        )

    def test(self, samples: int) -> Score | None:
        """The score after `samples` samples; None for a model without predictions."""
        labels = self._data.y_test
        predictions = self._machine.evaluate([self._data.x_test, labels])
        if not predictions:
            return None
        axes = class_axes(predictions[0].shape, labels.shape)
        return score(samples, predictions[0], labels, axes[0] if self._axis is None else self._axis)
