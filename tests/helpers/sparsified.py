"""A small network in training, with masks."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

EVERY: dict[str, dict[str, Any]] = {
    "static": {"sparsity": 0.6},
    "gmp": {"algorithm": "gmp", "sparsity": {"type": "linear", "init": 0.0, "slope": 0.0009}},
    "set": {"algorithm": "set", "sparsity": 0.6},
    "rigl": {"algorithm": "rigl", "sparsity": 0.6},
    "rigl_window": {
        "algorithm": "rigl",
        "sparsity": 0.6,
        "update": {"freq": 7},
        "gradient_steps": 4,
    },
}


def small_net() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 10), nn.Tanh(), nn.Linear(10, 3))


def adam(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.AdamW(model.parameters(), lr=0.01, weight_decay=0.1)


def batch(index: int, size: int = 4) -> Tensor:
    return torch.randn(size, 6, generator=torch.Generator().manual_seed(index))


def train_step(model: nn.Module, optimizer: torch.optim.Optimizer, index: int) -> None:
    optimizer.zero_grad()
    model(batch(index)).square().sum().backward()
    optimizer.step()
