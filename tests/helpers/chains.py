"""Chains of equal blocks, captured."""

from __future__ import annotations

import json
from collections import UserList
from collections.abc import Callable
from typing import Any

import pytest
from torch import Tensor, nn
from weft.compiler.capture.capture import capture
from weft.compiler.capture.graph import Graph
from weft.compiler.plan.program_text import graph_to_data

DEPTH = 5


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


TRACED: UserList[str] = UserList()
"""The blocks whose Python code was run; a plain list is put back after a capture."""


class Scaled(Block):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * (2.0 if self.index == 3 else 1.0)


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
