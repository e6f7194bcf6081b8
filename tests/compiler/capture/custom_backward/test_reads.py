"""Which tensors the user's Python reads beside those that it is given."""

from __future__ import annotations

import pytest
from helpers.against_eager import assert_like_eager
from helpers.own_functions import with_function
from torch.autograd import Function
from weft.backend.errors import UnsupportedError


def test_a_backward_that_reads_a_number_is_refused_by_name():
    class Normed(Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, gradient):
            return gradient / gradient.abs().max().item()

    with pytest.raises(UnsupportedError, match=r"Normed in .*test_reads.py:\d+") as refusal:
        assert_like_eager(with_function(lambda h: Normed.apply(h))())
    assert "item()" in refusal.value.change
