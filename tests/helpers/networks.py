"""Twelve small networks of different shape, compiled once for a small machine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from weft.backend.nn.norms import OnlineNorm
from weft.backend.nn.resnet import resnet
from weft.compiler.pipeline import Options, compile_model
from weft.compiler.plan.plan import Plan
from weft.compiler.targets import load_target
from weft.compiler.targets.target import Target

from .small_models import Attention, Branches

TINY = load_target("tiny_mesh")
WSE2 = load_target("wse2")


class Skips(nn.Module):
    """Three layers, each of which also reads the first."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(12, 16), nn.Linear(16, 4)
        self.layers = nn.ModuleList(nn.Linear(16, 16) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        first = h = torch.relu(self.first(x))
        for layer in self.layers:
            h = torch.relu(layer(h)) + first
        return self.last(h)


def _mlp(*sizes: int) -> nn.Module:
    layers = [nn.Linear(a, b) for a, b in pairwise(sizes)]
    return nn.Sequential(*[part for layer in layers for part in (layer, nn.ReLU())][:-1])


def _images(*layers: nn.Module, features: int) -> nn.Module:
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(features, 4))


Case = tuple[Callable[[], nn.Module], tuple[int, ...], Target]
NETWORKS: Mapping[str, Case] = {
    "one layer": (lambda: _mlp(16, 4), (1, 16), TINY),
    "perceptron": (lambda: _mlp(64, 32, 10), (1, 64), TINY),
    "deep": (lambda: _mlp(16, 24, 16, 24, 16, 24, 4), (1, 16), TINY),
    "wide": (lambda: _mlp(128, 128, 4), (1, 128), WSE2),
    "funnel": (lambda: _mlp(200, 50, 10, 4), (1, 200), WSE2),
    "skips": (Skips, (1, 12), TINY),
    "convolution": (
        lambda: _images(nn.Conv2d(2, 4, 3), nn.ReLU(), features=4 * 36),
        (1, 2, 8, 8),
        TINY,
    ),
    "strided": (
        lambda: _images(nn.Conv2d(2, 4, 3, 2), nn.ReLU(), nn.Conv2d(4, 4, 3), features=4),
        (1, 2, 8, 8),
        TINY,
    ),
    "pooled": (
        lambda: _images(
            nn.Conv2d(2, 6, 3, padding=1), OnlineNorm(6), nn.MaxPool2d(2), features=6 * 16
        ),
        (1, 2, 8, 8),
        TINY,
    ),
    "branches": (Branches, (1, 2, 8, 8), WSE2),
    "attention": (Attention, (1, 6), WSE2),
    "residual": (lambda: resnet(8, in_channels=1, classes=10), (1, 1, 8, 8), WSE2),
}


@cache
def network(name: str) -> Plan:
    """Compiled for its own target, dense."""
    return compiled(name)


def compiled(name: str, target: Target | None = None, density: float = 1.0) -> Plan:
    """Compiled for its own target or another one, with `density` of each matrix kept at random;
    the masks of one network are nested."""
    build, shape, own = NETWORKS[name]
    torch.manual_seed(0)
    model = build()
    tokens = len(shape) == 2 and name == "attention"
    sample = torch.zeros(shape, dtype=torch.long if tokens else torch.float32)
    label = torch.zeros(shape if tokens else (1,), dtype=torch.long)
    masks = _masks(model, density) if density < 1 else {}
    return compile_model(
        model, (sample, label), F.cross_entropy, target or own, Options(name=name, masks=masks)
    )


def _masks(model: nn.Module, density: float) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {
        name: torch.rand(p.shape, generator=generator) < density
        for name, p in model.named_parameters()
        if p.dim() > 1
    }
