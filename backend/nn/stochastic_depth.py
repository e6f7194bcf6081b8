"""Stochastic depth (Huang et al. 2016): a residual function is left out for whole samples."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


class StochasticDepth(nn.Module):
    """function(x) for a sample with probability 1 - rate, divided by it; else zero."""

    def __init__(self, function: nn.Module, rate: float) -> None:
        super().__init__()
        self.function, self.rate = function, rate

    def forward(self, x: Tensor) -> Tensor:
        """In evaluation, and at rate 0, the function itself."""
        y = self.function(x)
        if not self.training or self.rate == 0:
            return y
        ones = y.new_ones(y.shape[0], *[1] * (y.dim() - 1))
        return y * F.dropout(ones, self.rate)
