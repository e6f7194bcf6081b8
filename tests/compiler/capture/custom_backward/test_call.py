"""A call of the user's own Python with its backward, as the target of a node."""

from __future__ import annotations

import pytest
from helpers.against_eager import assert_like_eager
from helpers.own_functions import with_function
from torch.autograd import Function
from weft.backend.errors import UnsupportedError


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
        assert_like_eager(with_function(lambda h: Doubled.apply(h * 1))())
