"""In a captured graph the operators of a trace become the calls that they stand for."""

from __future__ import annotations

import pytest
import torch
from helpers.against_eager import Between, assert_like_eager
from helpers.own_functions import StraightThrough, with_function
from torch.autograd import Function
from torch.autograd.function import once_differentiable
from weft.backend.errors import UnsupportedError

SCALES = torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0, 6.0])


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


@pytest.mark.parametrize(
    "kind",
    [
        with_function(lambda h: StraightThrough.apply(h)),
        with_function(lambda h: Reversed.apply(h, 0.3)),
        with_function(lambda h: Clipped.apply(h)),
        with_function(lambda h: Scaled.apply(h)),
        with_function(lambda h: Reversed.apply(StraightThrough.apply(torch.tanh(h)), 2.0)),
        Two,
    ],
)
def test_gradients_are_those_of_the_function(kind):
    assert_like_eager(kind())


def test_a_method_that_was_kept_is_noted_or_refused():
    """From torch 2.14 on its calls cannot be seen."""
    model = with_function(EARLY)()
    if isinstance(vars(Function)["apply"], classmethod):
        assert_like_eager(model)
    else:
        with pytest.raises(UnsupportedError, match=r"StraightThrough\.apply"):
            assert_like_eager(model)
