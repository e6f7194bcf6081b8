"""Differentiable Hebbian plasticity in a soft-max (Thangarasa, Miconi, Taylor 2020, 2006.16558).

The last layer of a classifier with m features and d classes has slow weights theta, plasticity
coefficients alpha and a trace of the features of each class (all m x d), and a learned rate eta:

    trace[:, c] <- (1 - eta) trace[:, c] + eta mean(h of class c)     for each class c present
    z = h (theta + alpha * trace),  loss = cross-entropy(z) + lambda sum omega (theta - theta')^2

In training the trace is updated with the sample's own label before z is computed, as published. The
gradient flows through this step's eta h, not into earlier traces.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import UserError


class HebbianResult(NamedTuple):
    """The loss of a training step, and scores (N, d) at the trace before it."""

    loss: Tensor
    scores: Tensor


class HebbianSoftmax(nn.Module):
    """Classifier head with a plastic trace; it takes the labels and returns its own loss.

    `forward(h, labels)` takes features (N, m) and labels (N,). In training the trace advances once,
    unless the loss is not finite; in evaluation it stays, and the loss is that of the scores.
    Scores never depend on the labels. A learned eta is not kept in [0, 1]: at a high rate it leaves
    them, and the trace grows without bound; without `learned_eta` it stays as it is. As the head of
    a pipelined model it is the last stage, of delay 0.

    Raises UserError for options out of range and features of another width.
    """

    last_stage_only = True
    """The compiler refuses it elsewhere: its trace must see each sample before the next one."""
    trace: Tensor
    anchor: Tensor
    importance: Tensor

    def __init__(
        self,
        features: int,
        classes: int,
        eta: float = 0.001,
        plasticity: float = 0.01,
        penalty: float = 0.0,
        learned_eta: bool = True,
    ) -> None:
        super().__init__()
        _check(features, classes, eta, penalty)
        self.features, self.classes, self.penalty = features, classes, penalty
        self.theta = nn.Parameter(torch.empty(features, classes))
        self.alpha = nn.Parameter(plasticity * torch.rand(features, classes))
        self.eta = nn.Parameter(torch.tensor(float(eta)), requires_grad=learned_eta)
        nn.init.kaiming_uniform_(self.theta.T, a=math.sqrt(5))
        self.register_buffer("trace", torch.zeros(features, classes))
        self.register_buffer("anchor", torch.zeros(features, classes))
        self.register_buffer("importance", torch.zeros(features, classes))

    def forward(self, h: Tensor, labels: Tensor) -> HebbianResult:
        """Loss and scores."""
        if h.dim() != 2 or h.shape[1] != self.features:
            raise UserError(
                f"HebbianSoftmax({self.features}, {self.classes})",
                expected=f"features of shape (N, {self.features})",
                got=f"shape {tuple(h.shape)}",
                change="flatten or pool the features before the head",
            )
        before = self.trace.clone()  # what the backward reads, while the buffer moves on
        scores = _product(h, self.theta + self.alpha * before)
        if not self.training:
            return HebbianResult(F.cross_entropy(scores, labels) + self._consolidation(), scores)
        lost = self._lost(h, labels, before)
        loss = F.cross_entropy(scores - _product(h, self.alpha * lost), labels)
        loss = loss + self._consolidation()
        usable = torch.isfinite(loss.detach())
        self.trace.sub_(torch.where(usable, lost.detach(), 0))
        return HebbianResult(loss, scores)

    def consolidate(self, importance: Tensor) -> None:
        """From now on keep theta near its present value, each weight by its importance (m, d).

        Importances of several tasks add up (online elastic weight consolidation). Raises UserError
        for another shape or negative importances.
        """
        if importance.shape != self.theta.shape or not bool((importance >= 0).all()):
            raise UserError(
                "HebbianSoftmax.consolidate",
                expected=f"importances of at least 0, of shape {tuple(self.theta.shape)}",
                got=f"shape {tuple(importance.shape)}, least {importance.min().item():g}",
                change="give the squared gradients of theta, for example",
            )
        with torch.no_grad():
            self.importance.add_(importance)
            self.anchor.copy_(self.theta)

    def squared_gradients(self, h: Tensor, labels: Tensor) -> Tensor:
        """Mean over samples of the squared gradient of theta's cross-entropy, (m, d).

        The empirical Fisher information, which elastic weight consolidation takes for importance.
        """
        with torch.no_grad():
            shares = (h @ (self.theta + self.alpha * self.trace)).softmax(1)
            wrong = shares - F.one_hot(labels, self.classes)
            return h.square().T @ wrong.square() / len(h)

    def _lost(self, h: Tensor, labels: Tensor, before: Tensor) -> Tensor:
        """What the trace loses: eta (trace - mean of the class), for each class present."""
        members = F.one_hot(labels, self.classes).to(h.dtype)
        counts = members.sum(0)
        means = (h.T * members if h.shape[0] == 1 else h.T @ members) / counts.clamp(min=1)
        return torch.where(counts > 0, self.eta * (before - means), 0)

    def _consolidation(self) -> Tensor:
        return self.penalty * (self.importance * (self.theta - self.anchor).square()).sum()


def _product(h: Tensor, weights: Tensor) -> Tensor:
    """h @ weights; of one sample a sum of products, which stays in the stage of the loss."""
    return (h.T * weights).sum(0, keepdim=True) if h.shape[0] == 1 else h @ weights


class HebbianClassifier(nn.Module):
    """A body that gives features and a plastic head: `forward(x, labels)` is (loss, scores)."""

    def __init__(self, body: nn.Module, head: HebbianSoftmax) -> None:
        super().__init__()
        self.body, self.head = body, head

    def forward(self, x: Tensor, labels: Tensor) -> HebbianResult:
        """Loss and scores of inputs (N, ...) with labels (N,)."""
        return self.head(self.body(x), labels)


def plastic_mlp(
    features: int = 64,
    classes: int = 10,
    *,
    width: int = 400,
    hidden: int = 2,
    eta: float = 0.001,
    plasticity: float = 0.01,
    penalty: float = 0.0,
    learned_eta: bool = True,
) -> HebbianClassifier:
    """`hidden` layers of ReLU on the flattened input, and a plastic head.

    With `eta` and `plasticity` 0 the head is a plain soft-max, and stays one.
    """
    layers: list[nn.Module] = [nn.Flatten()]
    for number in range(hidden):
        layers += [nn.Linear(width if number else features, width), nn.ReLU()]
    size = width if hidden else features
    head = HebbianSoftmax(size, classes, eta, plasticity, penalty, learned_eta)
    return HebbianClassifier(nn.Sequential(*layers), head)


def _check(features: int, classes: int, eta: float, penalty: float) -> None:
    valid = {
        "features": (features >= 1, features, "a whole number >= 1"),
        "classes": (classes >= 2, classes, "at least 2"),
        "eta": (0 <= eta <= 1, eta, "a rate in [0, 1]"),
        "penalty": (penalty >= 0, penalty, "at least 0"),
    }
    for option, (holds, got, expected) in valid.items():
        if not holds:
            raise UserError(
                f"HebbianSoftmax: {option}",
                expected=expected,
                got=repr(got),
                change=f"set {option}",
            )
