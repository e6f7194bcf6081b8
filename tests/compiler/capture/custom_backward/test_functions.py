"""Autograd Functions train with the backward they have, not with that of their forward."""

from __future__ import annotations

import torch
from helpers.against_eager import assert_like_eager
from helpers.own_functions import StraightThrough
from torch import nn


def test_blocks_with_a_function_are_traced_for_all_their_calls():
    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Linear(4, 4)

        def forward(self, x):
            return StraightThrough.apply(self.inner(x)) + x

    torch.manual_seed(0)
    assert_like_eager(nn.Sequential(*(Block() for _ in range(4))))
