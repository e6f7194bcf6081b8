"""Ordinary programs that a compiler is tempted to leave out: from the model to a sound plan."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
import weft
from helpers.against_eager import LABEL, SAMPLE, Between, assert_like_eager
from torch import nn
from weft.backend.errors import UnsupportedError, UserError
from weft.compiler.pipeline import Options
from weft.compiler.plan.check import check


def sound(model, *sample, masks=None):
    """The plan, which the checker passes and the model itself agrees with."""
    options = Options(masks=masks or {})
    plan = weft.compile(model, sample or (SAMPLE, LABEL), F.cross_entropy, "wse2", options)
    assert check(plan.document, programs=plan.programs) == ()
    assert plan.document.witness == "float64"
    return plan


class Experts(nn.Module):
    """A batch of five matrices."""

    def __init__(self):
        super().__init__()
        self.experts, self.out = nn.Parameter(torch.randn(5, 4, 6)), nn.Linear(6, 3)

    def forward(self, x):
        return self.out(torch.bmm(x.expand(5, 1, 4), self.experts).mean(0))


@pytest.mark.parametrize("share", [None, 0.5])
def test_products_with_a_batch_of_matrices(share):
    torch.manual_seed(0)
    masks = None if share is None else {"experts": torch.rand(5, 4, 6) < share}
    plan = sound(Experts(), masks=masks)
    held = next(stage.nonzeros for stage in plan.document.stages if "experts" in stage.parameters)
    assert held.dense == 120
    assert held.total == (120 if masks is None else int(masks["experts"].sum()))


def test_inputs_that_are_not_used():
    class Ignoring(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = nn.Linear(4, 3)

        def forward(self, x, unused):
            return self.inner(x)

    plan = sound(Ignoring(), SAMPLE, torch.zeros(1, 7), LABEL)
    assert [record.shape for record in plan.document.inputs] == [(1, 4), (1, 7), (1,)]


@pytest.mark.filterwarnings("ignore:Initializing zero-element")
def test_tensors_without_elements():
    class Empty(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner, self.none = nn.Linear(4, 3), nn.Linear(0, 3)

        def forward(self, x):
            return self.inner(x) + self.none(x[:, :0])

    sound(Empty())


def test_batch_normalization_as_it_is_trained():
    class Frozen(Between):
        def __init__(self):
            super().__init__()
            self.norm = nn.BatchNorm1d(6).eval()
            self.norm.running_mean.copy_(torch.arange(6.0) / 10)
            self.norm.running_var.copy_(torch.arange(1.0, 7.0))

        def between(self, h):
            return self.norm(h)

    assert_like_eager(Frozen())
    sound(Frozen())


def test_masks_of_zeros_and_ones():
    model = nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 3))
    plan = sound(model, masks={"0.weight": torch.eye(4)})
    assert int((plan.tensors["0.weight"] != 0).sum()) == 4
    with pytest.raises(UserError, match="mask != 0"):
        sound(model, masks={"0.weight": torch.full((4, 4), 0.5)})


class Averaging(Between):
    """A buffer of one layer's outputs."""

    def __init__(self, is_late):
        super().__init__()
        self.is_late = is_late
        self.register_buffer("kept", torch.zeros(3))

    def forward(self, x):
        if self.is_late:  # read by the first layer, computed from what the second gives
            y = self.second(self.first(x + self.kept.sum()))
        else:  # read by the second layer, computed from its own result
            y = self.second(self.first(x)) + self.kept
        with torch.no_grad():
            self.kept.mul_(0.9).add_(y.mean(0), alpha=0.1)
        return y


def test_a_buffer_that_moves_where_it_is_read():
    assert_like_eager(Averaging(is_late=False), steps=3)
    sound(Averaging(is_late=False))


def test_a_buffer_that_moves_after_it_was_read():
    with pytest.raises(UnsupportedError, match="buffer kept"):
        sound(Averaging(is_late=True))


def test_a_buffer_that_moves_by_itself():
    class Annealed(Between):
        def __init__(self):
            super().__init__()
            self.register_buffer("temperature", torch.ones(()))

        def between(self, h):
            h = h / self.temperature.clone()
            self.temperature.mul_(0.9)
            return h

    assert_like_eager(Annealed(), steps=3)
    sound(Annealed())
