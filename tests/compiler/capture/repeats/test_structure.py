"""Capture with repeated blocks traced twice gives what tracing every block gives."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from weft.backend.nn.online_norm import OnlineNorm
from weft.backend.nn.resnet import resnet
from weft.compiler.capture.capture import capture
from weft.compiler.capture.graph import Graph
from weft.compiler.plan.program_text import graph_to_data

DEPTH = 5
IMAGE = (torch.zeros(1, 3, 16, 16), torch.tensor([0]))


class Block(nn.Module):
    """A pre-normalized layer with a number, as blocks of language models have one."""

    def __init__(self, index: int) -> None:
        super().__init__()
        self.norm, self.inner = nn.LayerNorm(8), nn.Sequential(nn.Linear(8, 8), nn.GELU())
        self.index = index
        self.calls = 0

    def forward(self, x: Tensor) -> Tensor:
        TRACED.append(type(self).__name__)
        return x + self.inner(self.norm(x))


TRACED: list[str] = []
"""The blocks whose Python code was run."""


class Scaled(Block):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * (2.0 if self.index == 3 else 1.0)


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


MEMORY: list[Tensor] = []


class Chain(nn.Module):
    def __init__(self, kind: Callable[[int], nn.Module], depth: int = DEPTH) -> None:
        super().__init__()
        self.stem = nn.Linear(8, 8)
        self.blocks = nn.ModuleList(kind(i) for i in range(depth))

    def forward(self, x: Tensor) -> Any:
        TRACED.clear()
        MEMORY.clear()
        x = self.stem(x)
        for block in self.blocks:
            x = self.step(block, x)
        return x

    def step(self, block: nn.Module, x: Tensor) -> Tensor:
        return block(x)


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


def captured(model: nn.Module, sample: tuple[Tensor, ...], loss: Any) -> dict[str, Any]:
    """All that a captured graph says."""
    graph: Graph = capture(model, sample, loss)
    nodes = list(graph.module.graph.nodes)
    number = {node.name: i for i, node in enumerate(nodes)}
    return {
        "nodes": json.dumps(graph_to_data(graph.module)),
        "places": [str(node.meta.get("origin")) for node in nodes],
        "names": [node.name for node in nodes if node.op == "placeholder"],
        "parameters": dict(graph.parameters),
        "buffers": dict(graph.buffers),
        "inputs": graph.inputs,
        "updates": {name: number[node] for name, node in graph.state_updates.items()},
        "constants": {name: value.tolist() for name, value in graph.constants.items()},
        "results": [number[graph.loss], *(number[name] for name in graph.predictions)],
    }


def in_full(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "weft.compiler.capture.export.export_repeated", lambda sample, export: export()
    )


def check_same(
    monkeypatch: pytest.MonkeyPatch, model: nn.Module, sample: tuple[Tensor, ...], loss: Any
) -> None:
    short = captured(model, sample, loss)
    in_full(monkeypatch)
    assert short == captured(model, sample, loss)


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


def test_blocks_of_torch(monkeypatch: pytest.MonkeyPatch):
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    model = nn.TransformerEncoder(layer, 4, enable_nested_tensor=False)
    check_same(monkeypatch, model, (torch.randn(1, 4, 8), torch.randn(1, 4, 8)), F.mse_loss)


def test_residual_network_with_streaming_statistics(monkeypatch: pytest.MonkeyPatch):
    model = resnet(20)
    assert any(isinstance(module, OnlineNorm) for module in model.modules())
    check_same(monkeypatch, model, IMAGE, F.cross_entropy)


def test_tied_weights_and_hooks_keep_their_blocks_apart(monkeypatch: pytest.MonkeyPatch):
    model = Chain(Block)
    model.blocks[1].inner[0].weight = model.blocks[4].inner[0].weight
    model.blocks[2].register_forward_hook(lambda module, args, result: result * 2)
    check_same(monkeypatch, model, (torch.randn(1, 4, 8), torch.randn(1, 4, 8)), F.mse_loss)


def test_classes_are_as_before_after_a_capture():
    before = [dict(vars(kind)) for kind in (Block, Scaled, nn.Module)]
    capture(Chain(Scaled), (torch.randn(1, 4, 8), torch.randn(1, 4, 8)), F.mse_loss)
    assert [dict(vars(kind)) for kind in (Block, Scaled, nn.Module)] == before
