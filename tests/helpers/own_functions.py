"""Functions with a backward of their own."""

from __future__ import annotations

import torch
from helpers.against_eager import Between
from torch.autograd import Function


class StraightThrough(Function):
    @staticmethod
    def forward(ctx, x):
        return torch.sign(x)

    @staticmethod
    def backward(ctx, gradient):
        return gradient * 0.5


def with_function(function):
    return type("Net", (Between,), {"between": lambda self, h: function(h)})
