"""The operators that stand for calls in a trace; none is left in a captured graph."""

from __future__ import annotations

import pytest
import torch
from helpers.against_eager import Between, assert_like_eager


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
