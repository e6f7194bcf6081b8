"""Reversible networks, with what is random in them."""

from __future__ import annotations

import torch
from helpers.reversible_chains import chain, halves, residual, silo
from torch import Tensor, nn
from weft.backend.nn.reversible import ReversibleLayer

SAMPLES = 5


class Scaled(ReversibleLayer):
    """A reversible layer that is not additive, with a function of its own."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.log = nn.Parameter(torch.randn(1, channels, 1, 1) * 0.1)

    def forward(self, *streams: Tensor) -> tuple[Tensor, ...]:
        return tuple(stream * self.log.exp() for stream in streams)

    def inverse(self, *streams: Tensor) -> tuple[Tensor, ...]:
        return tuple(stream * (-self.log).exp() for stream in streams)


def image(*shape: int) -> Tensor:
    return torch.randn(SAMPLES, 1, *shape, dtype=torch.float64)


CASES = {
    "1-D": (lambda: chain(1), [(4, 8), (4, 8)]),
    "2-D": (lambda: chain(2), [(4, 8, 8), (4, 8, 8)]),
    "3-D": (lambda: chain(3), [(4, 4, 4, 4), (4, 4, 4, 4)]),
    "halves": (halves, [(7, 8, 8)]),
    "residual": (residual, [(4, 8, 8), (4, 8, 8)]),
    "silo": (silo, [(4, 8, 8)]),
    "not additive": (lambda: [*chain(2), Scaled(4), *chain(2)], [(4, 8, 8), (4, 8, 8)]),
}
