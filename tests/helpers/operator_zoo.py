"""A network with operators of every family."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from helpers.stages_of import stages_of
from torch import nn
from weft.compiler.mapping.map import map_kernels
from weft.compiler.plan.training import Training
from weft.compiler.targets import load_target

TARGET = load_target("wse2")


class Zoo(nn.Module):
    """One of everything an image network may hold."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3, padding=1)
        self.norm = nn.GroupNorm(2, 8)
        self.depthwise = nn.Conv2d(8, 8, 3, groups=8, bias=False)
        self.up = nn.ConvTranspose2d(8, 4, 2, 2)
        self.head = nn.Linear(4, 10)

    def forward(self, x):
        x = F.max_pool2d(F.gelu(self.norm(self.first(x))), 2)
        x = F.avg_pool2d(F.silu(x) + torch.tanh(x), 2)
        x = self.up(self.depthwise(x))
        return self.head(x.mean((2, 3)))


def operators(stages, masks=None):
    """Cheapest choice's operators of every stage, by family."""
    found = {}
    for stage in map_kernels(stages, TARGET, Training(masks or {})).stages:
        for operator in stage.choices[-1].operators:
            found.setdefault(operator.family, []).append(operator)
    return found


def zoo():
    return stages_of(Zoo(), torch.zeros(1, 3, 20, 20))
