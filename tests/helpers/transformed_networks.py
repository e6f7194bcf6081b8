"""Networks and their Sparse-IFT forms."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from weft.backend.nn.sparse_ift import SparseIFT, sparse_ift


def linear_net() -> nn.Module:
    return nn.Sequential(
        nn.Linear(20, 96), nn.LayerNorm(96), nn.ReLU(), nn.Linear(96, 144), nn.ReLU(),
        nn.Linear(144, 96), nn.ReLU(), nn.Linear(96, 10),
    )  # fmt: skip


def convolution_net() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 32, 3, padding=1, bias=False), nn.BatchNorm2d(32), nn.ReLU(),
        nn.Conv2d(32, 64, 3, stride=2, padding=1), nn.ReLU(), nn.Conv2d(64, 64, 3, padding=1),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10),
    )  # fmt: skip


NETS = {
    "linear": (linear_net, torch.zeros(1, 20)),
    "convolution": (convolution_net, torch.zeros(1, 3, 12, 12)),
}


def transformed(net: str, family: Any, sparsity: float, **options: Any) -> SparseIFT:
    build, example = NETS[net]
    return sparse_ift(build(), family, sparsity, (example,), **options)
