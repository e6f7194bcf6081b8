"""How good predictions are: loss, share of right ones, and the scores that a recipe asks for."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ...backend.errors import UnknownNameError, UserError
from ...compiler.plan.program import Stages
from ..checkpoint import Score
from ..data.ignored import IGNORED_LABEL, ignored_labels

CLASS_SCORES = ("top5", "perplexity", "dice")
REAL_SCORES = ("dice", "mae", "mse", "r2")
"""What `training.scores` may ask for, by the type of the labels; any number may follow `top`."""

_LOSSES = ("mse", "l1", "binary_cross_entropy")


@dataclass(frozen=True)
class Scoring:
    """How predictions are held against labels: classes (whole numbers), or real numbers.

    `loss` is the recipe's. For real numbers the score has a loss if it is one of mse, l1 and
    binary_cross_entropy, and an accuracy if it is the last: a label of 0 or 1 for each logit.
    Labels that are `ignored` do not count.
    """

    has_classes: bool
    loss: str
    more: tuple[str, ...] = ()
    ignored: tuple[int, ...] = (IGNORED_LABEL,)

    @staticmethod
    def of(stages: Stages, loss: str = "", more: tuple[str, ...] = ()) -> Scoring:
        """That of a plan and a recipe; raises UserError for scores that its labels do not have."""
        has_classes = not stages.model_inputs[-1].torch_dtype.is_floating_point
        known = CLASS_SCORES if has_classes else REAL_SCORES
        for name in more:
            if name not in known and not (has_classes and re.fullmatch(r"top[1-9]\d*", name)):
                what = f"score of labels that are {'classes' if has_classes else 'real numbers'}"
                raise UnknownNameError(what, name, known, "weft recipe show")
        ignored = ignored_labels(stages) if has_classes else ()
        return Scoring(has_classes, loss, more, ignored)

    @property
    def is_loss_unknown(self) -> bool:
        """Whether the losses of training could tell more about it."""
        return not self.has_classes and self.loss not in _LOSSES

    def recognised(
        self, predictions: np.ndarray, labels: np.ndarray, losses: np.ndarray
    ) -> Scoring:
        """With the loss that gives these losses of samples, (N,), if it is a known one."""
        outputs, expected = _side_by_side(predictions, labels)
        for name in _LOSSES:
            if np.allclose(_differences(name, outputs, expected).mean(1), losses, rtol=1e-2):
                return replace(self, loss=name)
        return self

    def score(
        self, samples: int, predictions: np.ndarray, labels: np.ndarray, axis: int | None = None
    ) -> Score:
        """The score after `samples` training samples; predictions and labels (N, ...).

        `axis` of class scores holds the classes; by default it follows from the shapes. Raises
        UserError for shapes that do not fit.
        """
        if not self.has_classes:
            return self._of_real(samples, *_side_by_side(predictions, labels))
        whole = labels.astype(np.int64)
        chosen = class_axes(predictions.shape, whole.shape)[0] if axis is None else axis
        more = _of_classes(self.more, predictions, whole, chosen, self.ignored)
        accuracy, loss = class_score(predictions, whole, chosen, self.ignored)
        return Score(samples, accuracy, loss, more=more)

    def _of_real(self, samples: int, outputs: np.ndarray, labels: np.ndarray) -> Score:
        found: dict[str, Callable[[], float]] = {
            "mse": lambda: float(_differences("mse", outputs, labels).mean()),
            "mae": lambda: float(_differences("l1", outputs, labels).mean()),
            "r2": lambda: _explained(outputs, labels),
            "dice": lambda: _overlap(outputs > 0, labels > 0.5),
        }
        accuracy = loss = None
        if self.loss in _LOSSES:
            loss = float(_differences(self.loss, outputs, labels).mean())
        if self.loss == "binary_cross_entropy":
            accuracy = float(np.mean((outputs > 0) == (labels > 0.5)))
        return Score(samples, accuracy, loss, more={name: found[name]() for name in self.more})


def class_score(
    predictions: np.ndarray,
    labels: np.ndarray,
    axis: int,
    ignored: Sequence[int] = (IGNORED_LABEL,),
) -> tuple[float, float]:
    """Accuracy and mean cross-entropy of class scores with the classes along `axis`.

    The other axes are those of `labels`; labels that are `ignored` are left out.
    """
    scores, labels = _counted(predictions, labels, axis, ignored)
    right = scores.argmax(-1) == labels
    return float(right.mean()), float(cross_entropies(scores, labels).mean())


def _counted(
    predictions: np.ndarray, labels: np.ndarray, axis: int, ignored: Sequence[int]
) -> tuple[np.ndarray, np.ndarray]:
    """Scores (M, classes) and labels (M,) of all labels that count."""
    scores = np.moveaxis(predictions, axis, -1).astype(np.float64)
    counted = ~np.isin(labels, ignored)
    return scores[counted], labels[counted]


def _of_classes(
    names: tuple[str, ...],
    predictions: np.ndarray,
    labels: np.ndarray,
    axis: int,
    ignored: Sequence[int],
) -> dict[str, float]:
    if not names:
        return {}
    scores, labels = _counted(predictions, labels, axis, ignored)
    found: dict[str, Callable[[], float]] = {
        "perplexity": lambda: math.exp(cross_entropies(scores, labels).mean()),
        "dice": lambda: class_dice(scores.argmax(-1), labels),
    }
    return {
        name: found[name]() if name in found else _top(int(name[3:]), scores, labels)
        for name in names
    }


def _top(count: int, scores: np.ndarray, labels: np.ndarray) -> float:
    """Share of labels with fewer than `count` classes scored higher."""
    own = np.take_along_axis(scores, labels[..., None], -1)
    return float(((~(scores <= own)).sum(-1) < count).mean())  # what is not a number is no hit


def class_dice(found: np.ndarray, labels: np.ndarray) -> float:
    """Mean over the classes in either of 2 |A and B| / (|A| + |B|), A and B being where it is."""
    return float(np.mean([_overlap(found == c, labels == c) for c in np.union1d(found, labels)]))


def _differences(loss: str, outputs: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """What the mean of is the loss: squares, absolute values, or binary cross-entropies in nats."""
    if loss == "mse":
        return (outputs - labels) ** 2
    if loss == "l1":
        return np.abs(outputs - labels)
    return np.maximum(outputs, 0) - outputs * labels + np.log1p(np.exp(-np.abs(outputs)))


def _explained(outputs: np.ndarray, labels: np.ndarray) -> float:
    """Share of the labels' variance, summed over the outputs of a sample; NaN where it is 0."""
    spread = float(np.var(labels, axis=0).mean())
    return 1 - float(np.mean((outputs - labels) ** 2)) / spread if spread else math.nan


def _overlap(found: np.ndarray, marked: np.ndarray) -> float:
    """2 |A and B| / (|A| + |B|); 1 where both are empty."""
    total = np.sum(found) + np.sum(marked)
    return float(2 * np.sum(found & marked) / total) if total else 1.0


def _side_by_side(predictions: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both in float64 and one shape; axes of length 1 do not count."""
    shapes = [tuple(n for n in a.shape[1:] if n != 1) for a in (predictions, labels)]
    if shapes[0] != shapes[1]:
        raise _unfit("one number for each label", predictions.shape, labels.shape)
    flat = [a.reshape(len(a), -1).astype(np.float64) for a in (predictions, labels)]
    return flat[0], flat[1]


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
        form = "one score per class for each label: (N, classes, ...) or (N, ..., classes)"
        raise _unfit(form, predictions, labels)
    return fitting


def _unfit(form: str, predictions: tuple[int, ...], labels: tuple[int, ...]) -> UserError:
    return UserError(
        "test of the model",
        expected=f"predictions with {form}",
        got=f"predictions {predictions} for labels {labels}",
        change="return those as the model's first prediction",
    )


def likely_axis(
    axes: list[int],
    predictions: np.ndarray,
    read_labels: Callable[[], np.ndarray],
    losses: np.ndarray,
    ignored: Sequence[int] = (IGNORED_LABEL,),
) -> int:
    """The axis of classes along which the cross-entropy of samples comes closest to their losses.

    Needed only where there are as many classes as labels per sample.
    """
    if len(axes) == 1:
        return axes[0]
    labels = read_labels()

    def distance(axis: int) -> float:
        scores = np.moveaxis(predictions, axis, -1).astype(np.float64)
        found = _mean_entropies(scores, labels, ignored)
        return float(np.abs(found - losses).mean())

    return min(axes, key=distance)


def _mean_entropies(scores: np.ndarray, labels: np.ndarray, ignored: Sequence[int]) -> np.ndarray:
    """Of each sample; its labels that the loss ignores are left out."""
    counted = ~np.isin(labels, ignored)
    entropies = cross_entropies(scores, np.where(counted, labels, 0))
    axes = tuple(range(1, labels.ndim))
    return (entropies * counted).sum(axes) / np.maximum(counted.sum(axes), 1)
