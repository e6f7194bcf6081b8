"""Evaluates the model during training without disturbing samples in flight."""

from __future__ import annotations

from dataclasses import dataclass, replace
from statistics import stdev

import numpy as np

from ..checkpoint import Score
from ..data import Samples, Splits, rows_of
from ..tick.job import Executor, Results
from .moving_statistics import MovingStatistics, Statistics
from .order import Order
from .scores import Scoring, class_axes, likely_axis

_SINGLE = 8
"""Single statistics that the last test is repeated at."""


@dataclass
class Tester:
    """Scores the predictions for samples that are not trained on.

    Where a model gives as many class scores as there are labels in a sample, the shapes do not say
    which axis is the classes; the losses of the first training samples do. So they do for the loss
    of real-valued labels, where no recipe says which it is. `label_shape` is that of a sample's
    label as the model takes it: data may have axes of length 1 more or fewer.
    """

    machine: Executor
    data: Splits
    order: Order
    scoring: Scoring
    label_shape: tuple[int, ...]
    axis: int | None = None
    averages: MovingStatistics | None = None
    _is_known: bool = False

    def watch(self, results: Results, samples: int) -> None:
        """Look at what came out of training until the axis of classes, or the loss, is known, if
        there is something to test.

        Keep the moving statistics after `samples` samples if tests are at their averages.
        """
        if self.averages is not None:
            self.averages.add(samples, self.machine.statistics())
        is_tested = self.data.test is not None or self.data.validation is not None
        if self._is_known or not is_tested:
            return
        if not results.predictions or not len(results.losses.values):
            return
        predictions, losses = results.predictions[0], results.losses
        first = max(predictions.first, losses.first)
        count = min(len(s.values) - (first - s.first) for s in (predictions, losses))
        if count < 1:
            return
        self._is_known = True
        outputs = predictions.values[first - predictions.first :][:count]
        own = losses.values[first - losses.first :][:count].reshape(-1)
        numbers = self.order.of(range(first, first + count))

        def labels() -> np.ndarray:
            return self._as_taken(self.data.train.read(numbers, 0)[-1])

        if self.scoring.has_classes:
            shape = (count, *self.label_shape)
            axes, ignored = class_axes(outputs.shape, shape), self.scoring.ignored
            self.axis = likely_axis(axes, outputs, labels, own, ignored)
        elif self.scoring.is_loss_unknown:
            self.scoring = self.scoring.recognised(outputs, labels(), own)

    def test(self, samples: int, part: str, held_out: Samples, is_last: bool) -> Score | None:
        """The score of a part after `samples` samples; None for a model without predictions.

        At averaged statistics, where there are some; the last test then says how far scores spread
        over the single ones.
        """
        arrays = rows_of(held_out)
        if self.averages is None:
            found = self._score(samples, arrays)
        else:
            found = self._score(samples, arrays, self.averages.mean())
            if found is not None and is_last:
                more = {**found.more, **self._spreads(samples, arrays, self.averages)}
                found = replace(found, more=more)
        return None if found is None else replace(found, part=part)

    def _score(
        self, samples: int, arrays: list[np.ndarray], statistics: Statistics | None = None
    ) -> Score | None:
        predictions = self.machine.evaluate(arrays, statistics)
        if not predictions:
            return None
        return self.scoring.score(samples, predictions[0], self._as_taken(arrays[-1]), self.axis)

    def _as_taken(self, labels: np.ndarray) -> np.ndarray:
        return labels.reshape(len(labels), *self.label_shape)

    def _spreads(
        self, samples: int, arrays: list[np.ndarray], averages: MovingStatistics
    ) -> dict[str, float]:
        """Standard deviations of accuracy and loss over single moving statistics."""
        scores = [self._score(samples, arrays, own) for own in averages.some(_SINGLE)]
        columns = {
            "accuracy_spread": [s.accuracy for s in scores if s and s.accuracy is not None],
            "loss_spread": [s.loss for s in scores if s and s.loss is not None],
        }
        return {name: stdev(values) for name, values in columns.items() if len(values) > 1}
