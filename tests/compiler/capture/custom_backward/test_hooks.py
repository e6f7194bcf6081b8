"""Hooks on the gradients of tensors and parameters take part in training."""

from __future__ import annotations

import pytest
import torch
from helpers.against_eager import Between, assert_like_eager
from torch import nn
from weft.backend.errors import UnsupportedError
from weft.compiler.capture.capture import capture


class Quartered(Between):
    def between(self, h):
        h.register_hook(lambda gradient: gradient * 0.25)
        return torch.tanh(h)


class ReadBefore(Between):
    """The hook gets the sum of the gradients of all readers, earlier ones too."""

    def between(self, h):
        squashed = torch.tanh(h)
        h.register_hook(lambda gradient: gradient.clamp(-0.05, 0.05))
        return squashed + h


class OneAfterTheOther(Between):
    def between(self, h):
        h.register_hook(lambda gradient: gradient + 1)
        h.register_hook(lambda gradient: gradient * 3)
        return torch.tanh(h)


class WithItsValue(Between):
    """The hook reads a tensor of the forward and a parameter."""

    def between(self, h):
        squashed = torch.tanh(h)
        squashed.register_hook(lambda gradient: gradient * h * self.second.weight.sum())
        return squashed * 2


@pytest.mark.parametrize("kind", [Quartered, ReadBefore, OneAfterTheOther, WithItsValue])
def test_hooks_on_activations(kind):
    assert_like_eager(kind())


def test_a_hook_that_freezes_half_of_a_weight():
    model, kept = Between(), torch.ones(6, 4)
    kept[:3] = 0
    model.first.weight.register_hook(lambda gradient: gradient * kept)
    assert_like_eager(model)


def test_hooks_of_a_parameter_run_in_order_and_may_only_look_on():
    model, seen = Between(), []
    model.first.weight.register_hook(lambda gradient: gradient + 1)
    model.first.weight.register_hook(lambda gradient: gradient * model.first.bias[:, None])
    model.second.bias.register_hook(lambda gradient: seen.append(gradient.shape))
    assert_like_eager(model)
    assert torch.Size([3]) in seen


def test_a_hook_that_reads_a_number_is_refused_with_the_parameter():
    model = Between()
    model.second.weight.register_hook(lambda gradient: gradient / gradient.norm().item())
    with pytest.raises(UnsupportedError, match=r"hook on parameter second\.weight"):
        capture(model, (torch.zeros(1, 4), torch.tensor([1])), nn.functional.cross_entropy)
