"""One transformer layer for one token (decoding), fp16, on p x p PEs, one merged head.

The published program: vectors lie on every line of PEs alike, each product is local and followed by
an all-reduce in two levels, along a column and along a row in turn; products that share their input
share the all-reduce, so queries, keys and values are one layer here, as are the two wide ones.
Rotary embedding works on halves of the vectors in place. The exponential is a short polynomial.
SiLU is applied to the first `dim` values of a PE only, as published.

Keys and values of earlier tokens lie there like weights.
"""

from __future__ import annotations

from functools import lru_cache, partial

import torch
from torch import Tensor, nn

from ...compiler.plan.program import Stages
from ...compiler.plan.stage_record import Tiling
from ...compiler.targets.target import Target
from ...sim.validation.row import Row
from .kernel import PlanKernel
from .measured import Measured, all_cycles, on_grid, repeated, stages_of

_KEYS = 4096
# Groups of the two-level sum, as the measured programs were configured; elsewhere 20.
_GROUPS = {256: 16, 360: 20, 375: 15, 420: 20, 540: 20, 660: 22}


class Norm(nn.Module):
    """Scale by a weight and the root of the mean square."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(dim))

    def forward(self, x: Tensor) -> Tensor:
        mean = (x * x).sum(-1, keepdim=True) / x.shape[-1]
        return x * self.weight * torch.rsqrt(mean + 1e-6)


class DecodeLayer(nn.Module):
    """`silu` is how many of the wide values the activation is applied to."""

    def __init__(self, dim: int, ffn: int, keys: int, silu: int) -> None:
        super().__init__()
        self.dim, self.ffn, self.silu = dim, ffn, silu
        self.norm, self.wide_norm = Norm(dim), Norm(dim)
        self.qkv = nn.Linear(dim, 3 * dim, bias=False)
        self.keys = nn.Linear(dim, keys, bias=False)
        self.values = nn.Linear(keys, dim, bias=False)
        self.output = nn.Linear(dim, dim, bias=False)
        self.wide = nn.Linear(dim, 2 * ffn, bias=False)
        self.down = nn.Linear(ffn, dim, bias=False)
        self.cosine, self.sine = (nn.Parameter(torch.empty(dim // 2)) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        query, key, _ = self.qkv(self.norm(x)).split(self.dim, -1)
        query, key = (rotated(x, self.cosine, self.sine) for x in (query, key))
        scores = softmax(self.keys(query) * self.dim**-0.5)
        x = x + self.output(self.values(scores)) + 0 * key
        return x + self.down(self._gated(self.wide(self.wide_norm(x))))

    def _gated(self, wide: Tensor) -> Tensor:
        gate, up = wide.split(self.ffn, -1)
        first = gate.narrow(-1, 0, self.silu)
        first = first / (1 + exponential(-first))
        return gate.slice_scatter(first, -1, 0, self.silu) * up


def exponential(x: Tensor) -> Tensor:
    """(1 + x / 256) to the fourth power, as published."""
    power = 1 + x / 256
    power = power * power
    return power * power


def rotated(x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    """Rotary positions: the halves of the last axis, turned by half as many angles; six half
    vectors, written in place."""
    half = x.shape[-1] // 2
    even, odd = x.narrow(-1, 0, half), x.narrow(-1, half, half)
    first = even * cosine - odd * sine
    second = even * sine + odd * cosine
    return x.slice_scatter(first, -1, 0, half).slice_scatter(second, -1, half)


def softmax(scores: Tensor) -> Tensor:
    """Over the last axis, with that exponential."""
    powers = exponential(scores - scores.amax(-1, keepdim=True))
    return powers * torch.reciprocal(powers.sum(-1, keepdim=True))


@lru_cache(maxsize=64)
def _stages(dim: int, ffn: int, keys: int, silu: int) -> Stages:
    return stages_of(lambda: DecodeLayer(dim, ffn, keys, silu), [(1, dim)], torch.float16)


def decode_layer(target: Target, row: Row) -> tuple[Measured]:
    """Mean cycles of one of many layers. Columns `kv` and `groups` are optional."""
    pes, dim, ffn = row.count("p"), row.count("dim_per_pe"), row.count("ffn_per_pe")
    groups = min(pes, row.optional("groups", _GROUPS.get(pes, 20)))
    keys = pes * -(-row.optional("kv", _KEYS) // pes)
    stages = _stages(pes * dim, pes * ffn, keys, pes * min(dim, ffn))
    tiling = Tiling(pes, 1, pes, algorithm="all-reduce", groups=groups)
    return (Measured(stages, on_grid(target, pes, pes), tiling, all_cycles, row.where),)


def in_published_groups(pes: int) -> Tiling:
    """Vectors alike on all lines of `pes`, whose sums are grouped as in the published program;
    where it was not run on so many, as is fastest."""
    return Tiling(pes, 1, pes, algorithm="all-reduce", groups=_GROUPS.get(pes, 0))


class DecodeFeedForward(nn.Module):
    """The second half of a layer: norm, two wide products, SiLU of one of them, and back."""

    def __init__(self, dim: int, ffn: int) -> None:
        super().__init__()
        self.norm = Norm(dim)
        self.wide = nn.Linear(dim, 2 * ffn, bias=False)
        self.down = nn.Linear(ffn, dim, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        gate, up = self.wide(self.norm(x)).chunk(2, -1)
        return x + self.down(gate / (1 + exponential(-gate)) * up)


@lru_cache(maxsize=64)
def _feed_forward(dim: int, ffn: int) -> Stages:
    return stages_of(lambda: DecodeFeedForward(dim, ffn), [(1, dim)], torch.float16)


def feed_forward_block(target: Target, row: Row) -> tuple[Measured]:
    """Cycles of so many `layers` one after the other, 1 if not given."""
    pes, layers = row.count("p"), row.optional("layers", 1)
    stages = _feed_forward(row.count("dim"), row.count("ffn"))
    tiling = in_published_groups(pes)
    reading = partial(repeated, layers)
    return (Measured(stages, on_grid(target, pes, pes), tiling, reading, row.where),)


KERNELS = (
    PlanKernel("decode_layer", "wse3", ("cycles",), decode_layer),
    PlanKernel("feed_forward_block", "wse3", ("cycles",), feed_forward_block),
)
