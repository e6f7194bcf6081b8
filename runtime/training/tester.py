"""Evaluates the model during training without disturbing samples in flight."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ..checkpoint import Score
from ..data import Samples, Splits, rows_of
from ..tick.job import Executor, Results
from .order import Order
from .scores import Scoring, class_axes, likely_axis


@dataclass
class Tester:
    """Scores the predictions for samples that are not trained on.

    Where a model gives as many class scores as there are labels in a sample, the shapes do not say
    which axis is the classes; the losses of the first training samples do. So they do for the loss
    of real-valued labels, where no recipe says which it is.
    """

    machine: Executor
    data: Splits
    order: Order
    scoring: Scoring
    axis: int | None = None
    _is_known: bool = False

    def watch(self, results: Results) -> None:
        """Look at what came out of training until the axis of classes, or the loss, is known."""
        if self._is_known or not results.predictions or not len(results.losses.values):
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
            return self.data.train.read(numbers, 0)[-1]

        if self.scoring.has_classes:
            shape = (count, *self.data.train.forms[-1].shape)
            self.axis = likely_axis(class_axes(outputs.shape, shape), outputs, labels, own)
        elif self.scoring.is_loss_unknown:
            self.scoring = self.scoring.recognised(outputs, labels(), own)

    def test(self, samples: int, part: str, held_out: Samples) -> Score | None:
        """The score of a part after `samples` samples; None for a model without predictions."""
        arrays = rows_of(held_out)
        predictions = self.machine.evaluate(arrays)
        if not predictions:
            return None
        found = self.scoring.score(samples, predictions[0], arrays[-1], self.axis)
        return replace(found, part=part)
