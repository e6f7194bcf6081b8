"""Eager's gradients through torch.compile: detached copies, Functions, checkpoints."""

from __future__ import annotations

import copy

import pytest
import torch
import weft  # noqa: F401
from torch import nn
from torch.utils.checkpoint import checkpoint

X = torch.tensor([[0.3, -1.2, 0.8, 2.0]])


class Turned(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, rate):
        ctx.save_for_backward(x)
        ctx.rate = rate
        return x.abs()

    @staticmethod
    def backward(ctx, gradient):
        (x,) = ctx.saved_tensors
        return -ctx.rate * gradient * x, None


class Net(nn.Module):
    def __init__(self, kind):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second, self.kind = nn.Linear(4, 6), nn.Linear(6, 3), kind

    def forward(self, x):
        if self.kind == "checkpoint":
            h = checkpoint(lambda v: torch.tanh(self.first(v)), x, use_reentrant=False)
            return (self.second(h),)
        h = self.first(x)
        if self.kind == "function":
            return (self.second(Turned.apply(h, 0.7)),)
        if self.kind == "detached first":
            return h.detach(), h, self.second(h)
        return self.second(h), h, h.detach()


@pytest.mark.filterwarnings("ignore:.*should not be instantiated")
@pytest.mark.parametrize("kind", ["checkpoint", "function", "detached first", "detached last"])
def test_gradients_are_those_of_eager(kind):
    model = Net(kind)
    other = copy.deepcopy(model)
    torch._dynamo.reset()
    made = [module(X) for module in (model, torch.compile(other, backend="weft"))]
    for expected, got in zip(*made, strict=True):
        torch.testing.assert_close(got, expected)
        assert got.requires_grad == expected.requires_grad
    for values in made:
        sum(value.square().sum() for value in values if value.requires_grad).backward()
    for one, two in zip(model.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(two.grad, one.grad)
