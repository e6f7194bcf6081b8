"""Normalizations as users write them."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class OverChannels(nn.LayerNorm):
    """As in many vision networks: (N, C, H, W)."""

    def forward(self, x: Tensor) -> Tensor:
        x = x.movedim(1, -1)
        return F.layer_norm(x, self.normalized_shape, self.weight, self.bias, self.eps).movedim(
            -1, 1
        )


class MeanSquare(nn.Module):
    """As in transformers; `shift` 1 as in Gemma, whose weight is the gain less 1."""

    def __init__(self, features: int, shift: float = 0.0) -> None:
        super().__init__()
        self.weight, self.shift = nn.Parameter(torch.ones(features)), shift

    def forward(self, x: Tensor) -> Tensor:
        return (self.weight + self.shift) * x * torch.rsqrt(x.square().mean(-1, True) + 1e-6)


class MeanSquareNorm(MeanSquare):
    pass
