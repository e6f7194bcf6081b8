"""Where a node comes from in the user's source: the module path and the line that called it."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.export import ExportedProgram
from weft.compiler.capture.origin import user_frame
from weft.compiler.capture.sample import OneSample
from weft.compiler.capture.source_lines import lines_noted


def gated(x: Tensor) -> Tensor:
    """Not called 'forward': its line is that of its caller."""
    half = x * 0.5
    return half * torch.tanh(x)


class Inner(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear, self.act = nn.Linear(6, 6), nn.GELU()
        self.register_buffer("seen", torch.zeros(6))

    def forward(self, x: Tensor) -> Tensor:
        y = self.act(self.linear(x))
        self.seen.copy_(y.detach()[0])
        with torch.no_grad():
            scale = y.abs().amax()
        return gated(y) / scale


class Outer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Sequential(Inner(), nn.LayerNorm(6))

    def forward(self, x: Tensor) -> Tensor:
        parts = [part.square() for part in self.inner(x).split(3, -1)]
        return torch.cat(parts, -1) + x


def exported() -> ExportedProgram:
    sample = (torch.zeros(1, 6), torch.zeros(1, 6))
    return torch.export.export(OneSample(Outer(), F.mse_loss), sample, strict=False)


def lines(program: ExportedProgram) -> list[tuple[str, str, int]]:
    return [
        (str(node.target), *user_frame(node.stack_trace or ""))
        for module in program.graph_module.modules()
        for node in module.graph.nodes  # type: ignore[union-attr]
        if node.op == "call_function"
    ]


def test_lines_are_those_of_torch() -> None:
    with lines_noted():
        noted = lines(exported())
    assert noted == lines(exported())
    own = [line for _, file, line in noted if file.endswith("test_origin.py")]
    assert len(own) > 10
    assert len(set(own)) >= 5
