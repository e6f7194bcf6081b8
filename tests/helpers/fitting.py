"""Networks that fit a small mesh only with levers."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import torch
import torch.nn.functional as F
import weft
from torch import nn
from weft.compiler.capture.capture import capture
from weft.compiler.fit.setting import Fitting
from weft.compiler.plan.training import Training
from weft.compiler.targets.load import load_target
from weft.compiler.targets.target import Target

TINY = load_target("tiny_mesh")


class Block(nn.Module):
    """Widens eightfold and back: much to save, little to keep for doing it again."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.up, self.down = nn.Linear(width, 8 * width), nn.Linear(8 * width, width)

    def forward(self, x):
        return x + self.down(torch.tanh(self.up(x)))


class Net(nn.Module):
    def __init__(self, blocks: int, width: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(Block(width) for _ in range(blocks))
        self.head = nn.Linear(width, 5)

    def forward(self, x):
        for block in self.blocks:
            x = block(x)
        return self.head(x.mean(1))


def model_of(blocks: int, width: int, tokens: int):
    torch.manual_seed(0)
    return Net(blocks, width), (torch.zeros(1, tokens, width), torch.tensor([3]))


@cache
def fitting_of(blocks: int, width: int, tokens: int) -> Fitting:
    model, sample = model_of(blocks, width, tokens)
    graph = capture(model, sample, F.cross_entropy)
    return Fitting(graph, Training())


def small(**changes) -> Target:
    return replace(TINY, grid=replace(TINY.grid, **changes))


LARGE = (3, 16, 128)
"""Saves too much for one tiny mesh at the finest granularity."""


def compiled_with(size, target: Target, **options):
    model, sample = model_of(*size)
    return weft.compile(model, sample, F.cross_entropy, target, weft.Options(**options))
