"""Notes Functions and hooks while torch.export traces a model, as operators in its graph."""

from __future__ import annotations

import pytest
import torch
from helpers.against_eager import assert_like_eager
from helpers.guarded import net, refused
from helpers.own_functions import StraightThrough, with_function
from torch import nn
from torch.autograd import Function
from weft.backend.errors import UnsupportedError
from weft.compiler.capture.capture import capture


def test_draws_inside_of_a_function_are_refused():
    class Noisy(Function):
        @staticmethod
        def forward(ctx, x):
            return x + torch.rand_like(x)

        @staticmethod
        def backward(ctx, gradient):
            return gradient

    with pytest.raises(UnsupportedError, match="rand"):
        assert_like_eager(with_function(lambda h: Noisy.apply(h))())


def test_afterwards_functions_and_hooks_are_torchs_own():
    before = vars(Function)["apply"], torch.Tensor.register_hook
    model = with_function(lambda h: StraightThrough.apply(h))()
    capture(model, (torch.zeros(1, 4), torch.tensor([1])), nn.functional.cross_entropy)
    assert (vars(Function)["apply"], torch.Tensor.register_hook) == before
    x = torch.ones(2, requires_grad=True)
    StraightThrough.apply(x).sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [0.5, 0.5]


def test_a_hook_that_forward_removes_again():
    def between(model, h):
        h.register_hook(lambda gradient: gradient * 3).remove()
        return h

    message = refused(net(between))
    assert "test_record.py:" in message
    assert "removes again" in message
