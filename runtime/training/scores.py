"""How good predictions are: share of right ones, and cross-entropy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...backend.errors import UserError


@dataclass(frozen=True)
class Score:
    """A test after `samples` training samples.

    `accuracy` is the share of labels predicted right, `loss` the mean cross-entropy in nats; for a
    language model over bytes both are per byte, and loss / ln 2 is bits per byte.
    """

    samples: int
    accuracy: float
    loss: float


def score(samples: int, predictions: np.ndarray, labels: np.ndarray, axis: int) -> Score:
    """The score of class scores `predictions` with the classes along `axis`.

    The other axes are those of `labels`.
    """
    scores = np.moveaxis(predictions, axis, -1).astype(np.float64)
    right = scores.argmax(-1) == labels
    return Score(samples, float(right.mean()), float(cross_entropies(scores, labels).mean()))


def cross_entropies(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """-log softmax(scores)[label], scores (..., classes), labels (...)."""
    highest = scores.max(-1, keepdims=True)
    totals = np.log(np.exp(scores - highest).sum(-1)) + highest[..., 0]
    return totals - np.take_along_axis(scores, labels[..., None], -1)[..., 0]


def class_axes(predictions: tuple[int, ...], labels: tuple[int, ...]) -> list[int]:
    """Axes that may hold the classes: 1, as torch's cross_entropy has it, or the last one.

    Raises UserError for shapes, both with the samples first, that fit neither way.
    """
    positions = labels[1:]
    fitting = [
        axis
        for axis in dict.fromkeys((1, len(predictions) - 1))
        if len(predictions) > 1 and predictions[1:axis] + predictions[axis + 1 :] == positions
    ]
    if not fitting:
        raise UserError(
            "test of the model",
            expected="predictions with one score per class for each label: (N, classes, ...) or"
            " (N, ..., classes)",
            got=f"predictions {predictions} for labels {labels}",
            change="return the class scores as the model's first prediction",
        )
    return fitting


def likely_axis(
    axes: list[int], predictions: np.ndarray, labels: np.ndarray, losses: np.ndarray
) -> int:
    """The axis of classes along which the cross-entropy of samples comes closest to their losses.

    Needed only where there are as many classes as labels per sample.
    """
    if len(axes) == 1:
        return axes[0]

    def distance(axis: int) -> float:
        scores = np.moveaxis(predictions, axis, -1).astype(np.float64)
        found = cross_entropies(scores, labels).reshape(len(labels), -1).mean(-1)
        return float(np.abs(found - losses).mean())

    return min(axes, key=distance)
