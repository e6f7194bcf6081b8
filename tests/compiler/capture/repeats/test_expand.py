"""Calls that were not traced get the nodes of the one that was, in an exported program."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from helpers.chains import DEPTH, MEMORY, TRACED, Block, Chain, Scaled, captured, in_full
from torch import Tensor, nn
from weft.compiler.capture.capture import capture


class Shifted(Block):
    def __init__(self, index: int) -> None:
        super().__init__(index)
        self.shift = index % 2

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(torch.roll(x, self.shift, 1))


class Dropped(Block):
    def forward(self, x: Tensor) -> Tensor:
        return F.dropout(super().forward(x), 0.1)


class Counting(Block):
    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        return super().forward(x)


class WithNewConstant(Block):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * torch.tensor(0.5)


class WithBuffer(Block):
    def __init__(self, index: int) -> None:
        super().__init__(index)
        self.register_buffer("mean", torch.zeros(8))

    def forward(self, x: Tensor) -> Tensor:
        self.mean.mul_(0.9).add_(x.detach().mean((0, 1)), alpha=0.1)
        return super().forward(x - self.mean)


class Partly(Block):
    def forward(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            scale = self.norm(x).abs().amax()
        return super().forward(x / scale)


class WithList(Block):
    def forward(self, x: Tensor, seen: list[Tensor]) -> Tensor:
        seen.append(super().forward(x))
        return seen[-1]


class Remembering(Block):
    """The first block leaves something for the others outside of all modules."""

    def forward(self, x: Tensor) -> Tensor:
        if not MEMORY:
            MEMORY.append(x.abs().amax(-1, keepdim=True))
        return super().forward(x) * MEMORY[0]


class Listing(Chain):
    def step(self, block: nn.Module, x: Tensor) -> Tensor:
        seen: list[Tensor] = []
        block(x, seen)
        return seen[0]


class Shared(Chain):
    def step(self, block: nn.Module, x: Tensor) -> Tensor:
        return self.blocks[0](x)


class Fused(nn.Module):
    """Results in a dict, of which not every reader reads all; arguments by keyword, some fixed."""

    def __init__(self, index: int) -> None:
        super().__init__()
        self.block = Block(index)

    def forward(self, x: Tensor, *, scale: float, bias: Tensor | None = None) -> dict[str, Any]:
        y = self.block(x) * scale
        return {"y": y if bias is None else y + bias, "peak": y.amax(-1), "index": None}


class Reading(Chain):
    def step(self, block: nn.Module, x: Tensor) -> Tensor:
        found = block(x, scale=2.0, bias=x.sum(-1, keepdim=True))
        return found["y"] * found["peak"].unsqueeze(-1) if block is self.blocks[-1] else found["y"]


CHAINS = {
    "plain": (Chain(Block), 2),
    "scaled": (Chain(Scaled), DEPTH),
    "shifted": (Chain(Shifted), 4),
    "dropout": (Chain(Dropped), 2),
    "counting": (Chain(Counting), DEPTH),
    "new-constant": (Chain(WithNewConstant), DEPTH),
    "buffer": (Chain(WithBuffer), 2),
    "no-grad": (Chain(Partly), 2),
    "list": (Listing(WithList), DEPTH),
    "remembering": (Chain(Remembering), DEPTH),
    "shared": (Shared(Block), 2),
    "dict": (Reading(Fused), 2),
}
"""Model, and how many of its blocks are run."""


@pytest.mark.parametrize("name", CHAINS)
def test_graph_is_that_of_tracing_all_blocks(name: str, monkeypatch: pytest.MonkeyPatch):
    model, traced = CHAINS[name]
    sample = torch.randn(1, 4, 8), torch.randn(1, 4, 8)
    short = captured(model, sample, F.mse_loss)
    assert len(TRACED) == traced
    in_full(monkeypatch)
    assert short == captured(model, sample, F.mse_loss)
    assert len(TRACED) == DEPTH


def test_depth_does_not_change_what_is_traced():
    sample = torch.randn(1, 4, 8), torch.randn(1, 4, 8)
    for depth in (3, 12):
        capture(Chain(Block, depth), sample, F.mse_loss)
        assert len(TRACED) == 2
