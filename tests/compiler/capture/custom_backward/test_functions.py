"""Autograd Functions train with the backward they have, not with that of their forward."""

from __future__ import annotations

import pytest
import torch
from helpers.against_eager import Between, assert_like_eager
from torch import nn
from torch.autograd import Function
from torch.autograd.function import once_differentiable
from weft.backend.errors import UnsupportedError
from weft.compiler.capture.capture import capture

SCALES = torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0, 6.0])


class StraightThrough(Function):
    @staticmethod
    def forward(ctx, x):
        return torch.sign(x)

    @staticmethod
    def backward(ctx, gradient):
        return gradient * 0.5


class Reversed(Function):
    """With a number, and a view of its argument."""

    @staticmethod
    def forward(ctx, x, rate):
        ctx.rate = rate
        return x.view_as(x)

    @staticmethod
    def backward(ctx, gradient):
        return -ctx.rate * gradient, None


class TwoResults(Function):
    """Saves tensors, returns two, one of them without a gradient."""

    @staticmethod
    def forward(ctx, x, weight):
        ctx.save_for_backward(x, weight)
        order = x.argsort(-1)
        ctx.mark_non_differentiable(order)
        return x * weight.sum(), order

    @staticmethod
    def backward(ctx, gradient, _):
        x, weight = ctx.saved_tensors
        return gradient * 2 * weight.sum(), (gradient * x).sum().expand_as(weight) * 3


class Clipped(Function):
    """In the two halves that torch.func asks for."""

    @staticmethod
    def forward(x):
        return x.clamp(0, 1)

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(inputs[0])

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient):
        (x,) = ctx.saved_tensors
        return gradient * (x < 0.5)


class Scaled(Function):
    """Reads a tensor that it is not given."""

    @staticmethod
    def forward(ctx, x):
        return x * SCALES

    @staticmethod
    def backward(ctx, gradient):
        return gradient * SCALES * SCALES


EARLY = StraightThrough.apply


class Two(Between):
    def between(self, h):
        scaled, order = TwoResults.apply(h, self.second.weight)
        return scaled + 0.1 * order


def _with(function):
    return type("Net", (Between,), {"between": lambda self, h: function(h)})


@pytest.mark.parametrize(
    "kind",
    [
        _with(StraightThrough.apply),
        _with(EARLY),
        _with(lambda h: Reversed.apply(h, 0.3)),
        _with(Clipped.apply),
        _with(Scaled.apply),
        _with(lambda h: Reversed.apply(StraightThrough.apply(torch.tanh(h)), 2.0)),
        Two,
    ],
)
def test_gradients_are_those_of_the_function(kind):
    assert_like_eager(kind())


def test_blocks_with_a_function_are_traced_for_all_their_calls():
    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Linear(4, 4)

        def forward(self, x):
            return StraightThrough.apply(self.inner(x)) + x

    torch.manual_seed(0)
    assert_like_eager(nn.Sequential(*(Block() for _ in range(4))))


def test_a_backward_that_reads_a_number_is_refused_by_name():
    class Normed(Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, gradient):
            return gradient / gradient.abs().max().item()

    with pytest.raises(UnsupportedError, match=r"Normed in .*test_functions.py:\d+") as refusal:
        assert_like_eager(_with(Normed.apply)())
    assert "item()" in refusal.value.change


def test_a_forward_that_changes_its_argument_is_refused_by_name():
    class Doubled(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.mark_dirty(x)
            return x.mul_(2)

        @staticmethod
        def backward(ctx, gradient):
            return gradient

    with pytest.raises(UnsupportedError, match="Doubled"):
        assert_like_eager(_with(lambda h: Doubled.apply(h * 1))())


def test_draws_inside_of_a_function_are_refused():
    class Noisy(Function):
        @staticmethod
        def forward(ctx, x):
            return x + torch.rand_like(x)

        @staticmethod
        def backward(ctx, gradient):
            return gradient

    with pytest.raises(UnsupportedError, match="rand"):
        assert_like_eager(_with(Noisy.apply)())


def test_afterwards_functions_and_hooks_are_torchs_own():
    before = Function.apply.__func__, torch.Tensor.register_hook
    model = _with(StraightThrough.apply)()
    capture(model, (torch.zeros(1, 4), torch.tensor([1])), nn.functional.cross_entropy)
    assert (Function.apply.__func__, torch.Tensor.register_hook) == before
    x = torch.ones(2, requires_grad=True)
    StraightThrough.apply(x).sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [0.5, 0.5]
