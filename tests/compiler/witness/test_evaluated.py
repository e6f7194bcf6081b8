"""A plan whose model does something else in evaluation mode says so."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
import pytest
import torch
import weft
from helpers.witnessed import SAMPLE
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, dropout

Change = Callable[[nn.Module, Tensor], Tensor]


class Changed(nn.Module):
    """Two layers; `change` is what happens between them."""

    def __init__(self, change: Change) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second = nn.Linear(4, 6), nn.Linear(6, 3)
        self.change = change

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.change(self, self.first(x)))


class Whole(Changed):
    """With whole numbers that one rounding more or less changes."""

    def forward(self, x: Tensor):
        scores = super().forward(x)
        return scores, (1e7 * scores).long()


class Helped(Changed):
    """With a second output, in training only."""

    def forward(self, x: Tensor):
        scores = super().forward(x)
        return (scores, 2 * scores) if self.training else scores


def noisy(model: nn.Module, x: Tensor) -> Tensor:
    return x + 0.1 * torch.randn_like(x) if model.training else x


def wider(model: nn.Module, x: Tensor) -> Tensor:
    return 2 * x if model.training else x


def always_dropped(_: nn.Module, x: Tensor) -> Tensor:
    return dropout(x, 0.5)


def dropped(model: nn.Module, x: Tensor) -> Tensor:
    return dropout(x.relu(), 0.5, model.training)


def normalized() -> nn.Module:
    layers = nn.Unflatten(1, (1, 4)), nn.InstanceNorm1d(1, track_running_stats=True), nn.Flatten()
    return nn.Sequential(*layers, nn.Linear(4, 3))


def raising() -> nn.Module:
    def change(model: nn.Module, x: Tensor) -> Tensor:
        if not model.training:
            raise NotImplementedError
        return x

    return Changed(change)


OTHER = {
    "noise": lambda: Changed(noisy),
    "branch": lambda: Changed(wider),
    "dropout in both": lambda: Changed(always_dropped),
    "statistics": normalized,
    "no evaluation": raising,
}
ALIKE = {
    "plain": lambda: Changed(lambda _, x: x.tanh()),
    "dropout": lambda: Changed(dropped),
    "rounded": lambda: Changed(lambda _, x: (1e5 * x).round() % 1000 / 1e3),
    "whole numbers": lambda: Whole(dropped),
    "second output": lambda: Helped(dropped),
    "online norm": lambda: nn.Sequential(nn.Linear(4, 6), weft.nn.OnlineNorm(6), nn.Linear(6, 3)),
}


def first_loss(result: Tensor | tuple[Tensor, ...], label: Tensor) -> Tensor:
    return cross_entropy(result[0] if isinstance(result, tuple) else result, label)


@pytest.mark.parametrize("name", OTHER)
def test_another_forward_in_evaluation_mode_is_told(name: str) -> None:
    model = OTHER[name]()
    plan = weft.compile(model, SAMPLE, first_loss)
    assert plan.document.witness == "float64-training"
    assert not weft.check(plan)
    assert all(module.training for module in model.modules())
    with pytest.warns(UserWarning, match="in evaluation mode"):
        weft.predict(plan, SAMPLE[0], executor="reference")
    data = SAMPLE[0].numpy(), SAMPLE[1].numpy()
    with pytest.warns(UserWarning, match="in evaluation mode"):
        weft.train(plan, (*data, *data), executor="reference", epochs=1)
    weft.train(plan, data, executor="reference", epochs=1)  # nothing is predicted


@pytest.mark.parametrize("name", ALIKE)
def test_the_same_forward_in_evaluation_mode_is_predicted(name: str) -> None:
    """Which eager torch says at the plan's own weights."""
    model = ALIKE[name]()
    plan = weft.compile(model, SAMPLE, first_loss)
    assert plan.document.witness == "float64"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = weft.predict(plan, SAMPLE[0], executor="reference")
    expected = model.eval()(SAMPLE[0])
    expected = expected[0] if isinstance(expected, tuple) else expected
    np.testing.assert_allclose(found[0], expected.detach(), rtol=1e-5)
