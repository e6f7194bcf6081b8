"""Chains of reversible layers whose functions draw and have streaming statistics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from weft.backend.nn.online_norm import OnlineNorm
from weft.backend.nn.reversible import (
    AdditiveCoupling,
    ResidualCoupling,
    ReversibleLayer,
    ReversibleSequence,
    RevSilo,
)
from weft.backend.optim import build_rule
from weft.compiler.capture.capture import capture
from weft.compiler.capture.graph import Graph
from weft.compiler.plan.program import Stages
from weft.compiler.stages.cut import cut
from weft.compiler.stages.group_updates import assign_updates
from weft.compiler.stages.kept.reversible import reversible
from weft.runtime.tick.job import Job


def function(inputs: int, outputs: int, spatial: int = 2, stride: int = 1) -> nn.Module:
    conv = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[spatial - 1]
    drop = (nn.Dropout1d, nn.Dropout2d, nn.Dropout3d)[spatial - 1]
    return nn.Sequential(
        conv(inputs, outputs, 3, stride, padding=1),
        OnlineNorm(outputs, alpha_fwd=0.9, alpha_bkw=0.8),
        nn.SiLU(),
        nn.Dropout(0.2),
        drop(0.1),
    )


def chain(spatial: int) -> list[ReversibleLayer]:
    return [AdditiveCoupling(function(4, 4, spatial), function(4, 4, spatial)) for _ in range(3)]


def halves() -> list[ReversibleLayer]:
    return [AdditiveCoupling(function(4, 3), function(3, 4), stream=0) for _ in range(2)]


def residual() -> list[ReversibleLayer]:
    return [ResidualCoupling(function(4, 4)) for _ in range(5)]


def silo() -> list[ReversibleLayer]:
    channels = (4, 6, 5)

    def down(i: int, j: int) -> nn.Module:
        return function(channels[i], channels[j], stride=2 ** (j - i))

    def up(i: int, j: int) -> nn.Module:
        return nn.Sequential(
            function(channels[i], channels[j]), nn.Upsample(scale_factor=2 ** (i - j))
        )

    return [
        AdditiveCoupling(function(2, 2), function(2, 2), stream=0),
        RevSilo(2, down, up, creates=True),
        RevSilo(3, down, up, creates=True),
        AdditiveCoupling(function(3, 3), function(3, 3), stream=1),
        RevSilo(3, down, up),
    ]


class Chain(nn.Module):
    """A stem, a reversible chain on streams of its `channels`, and three scores."""

    def __init__(self, layers: Sequence[ReversibleLayer], channels: Sequence[int]) -> None:
        super().__init__()
        self.channels = tuple(channels)
        self.stem = nn.Conv2d(1, sum(channels), 3, padding=1)
        self.chain = ReversibleSequence(*layers)
        self.head = nn.LazyLinear(3)

    def forward(self, x: Tensor) -> Tensor:
        """(N, 1, H, W) to (N, 3)."""
        outputs = self.chain(*self.stem(x).split(self.channels, 1))
        outputs = (outputs,) if isinstance(outputs, Tensor) else outputs
        return self.head(torch.cat([output.mean((2, 3)) for output in outputs], 1))


CHAINS = {
    "chain": (lambda: chain(2), (4, 4)),
    "halves": (halves, (7,)),
    "residual": (residual, (4, 4)),
    "silo": (silo, (4,)),
}


def network(name: str, dtype: torch.dtype = torch.float64) -> Chain:
    """The network of a chain of `CHAINS`, for images of 8 x 8 pixels."""
    torch.manual_seed(0)
    make, channels = CHAINS[name]
    model = Chain(make(), channels).to(dtype)
    model(torch.zeros(1, 1, 8, 8, dtype=dtype))
    return model


def captured(model: nn.Module, shape: tuple[int, ...] = (1, 8, 8)) -> tuple[Graph, Stages]:
    """The graph of a model, and its stages, one per update, that keep what they need."""
    dtype = next(model.parameters()).dtype
    sample = torch.zeros(1, *shape, dtype=dtype), torch.zeros(1, dtype=torch.long)
    graph = capture(model, sample, F.cross_entropy)
    return graph, cut(graph, assign_updates(graph))


def job_of(
    model: nn.Module,
    stages: Stages,
    keys: Mapping[str, Tensor],
    compensation: str,
    rate: float = 0.001,
) -> Job:
    """Training the stages of a model whose draws have these keys."""
    rule = build_rule("sgdm", momentum=0.9, weight_decay=1e-3, compensation=compensation)
    return Job(stages, {**keys, **model.state_dict()}, {}, rule, lambda update: rate)


def reversible_job(
    name: str, compensation: str, dtype: torch.dtype = torch.float64, anchor_every: int = 0
) -> Job:
    """Training the reversible stages of a chain of `CHAINS`."""
    model = network(name, dtype)
    graph, kept = captured(model)
    stages = reversible(kept, graph.reversible, anchor_every)
    return job_of(model, stages, graph.constants, compensation)
