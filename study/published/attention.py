"""Attention of grouped queries for one token (decoding) on p x p PEs, and a layer with it.

As public walk-throughs of the measured program have it: features along one axis, positions along
the other; heads of keys lie beside each other, each with lines of PEs of its own. Products are
summed in 32 bits, and scores and their exponentials have as many; here all has. What is converted
to 16 bits in between is left out. The exponentials of one head of queries come after those of
another. The denominators of the soft-max are summed with its numerators: values have a column of
ones. The feed-forward block behind is that of `decode`, in 16 bits.
"""

from __future__ import annotations

import math
from functools import lru_cache, partial

import torch
from torch import Tensor, nn

from ...backend.errors import UserError
from ...compiler.plan.program import Stages
from ...compiler.targets.target import Target
from ...sim.validation.row import Row
from .decode import DecodeFeedForward, Norm, in_published_groups, rotated
from .kernel import PlanKernel
from .measured import Measured, on_grid, repeated, stages_of

_HEADS, _KEY_HEADS, _HEAD_DIM = 32, 8, 128
"""Of the model that was measured, Qwen3-4B."""
_PIPELINE_STAGES = 4
_SERIES = tuple(math.log(2) ** power / math.factorial(power) for power in range(7))
_LEAST = -87.0
"""No power of e below this one's is a normal number of 32 bits."""
_BIAS, _MANTISSA = 127, 2**23


class GroupedAttention(nn.Module):
    """`heads` heads of queries of `size` values each, of which as many share a head of keys and
    values; those of `context` earlier tokens lie there like weights, beside each value a one."""

    def __init__(self, dim: int, heads: int, key_heads: int, size: int, context: int) -> None:
        super().__init__()
        self.heads, self.key_heads, self.size = heads, key_heads, size
        self.norm, self.query_norm, self.key_norm = Norm(dim), Norm(size), Norm(size)
        self.qkv = nn.Linear(dim, (heads + 2 * key_heads) * size, bias=False)
        self.keys = nn.Parameter(torch.empty(key_heads, size, context))
        self.values = nn.Parameter(torch.empty(key_heads, context, size + 1))
        self.output = nn.Linear(heads * size, dim, bias=False)
        self.cosine, self.sine = (nn.Parameter(torch.empty(size // 2)) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        """Of (1, dim)."""
        sizes = [self.heads * self.size, *[self.key_heads * self.size] * 2]
        query, key, value = self.qkv(self.norm(x)).split(sizes, -1)
        turns = self.cosine, self.sine
        query = rotated(self.query_norm(query.view(self.heads, self.size)), *turns)
        key = rotated(self.key_norm(key.view(self.key_heads, self.size)), *turns)
        grouped = query.view(self.key_heads, self.heads // self.key_heads, self.size)
        scores = torch.bmm(grouped, self.keys) * self.size**-0.5
        sums = torch.bmm(_powers(scores), self.values)
        found = sums[..., : self.size] * torch.reciprocal(sums[..., self.size :])
        found = found.reshape(1, sizes[0])
        return x + self.output(found) + 0 * (key.flatten()[0] + value.flatten()[0])


def _powers(scores: Tensor) -> Tensor:
    """Of scores less the greatest of their head, one head of queries after the other."""
    greatest = scores.amax(-1, keepdim=True)
    for head in range(scores.shape[1]):
        own, most = (value.narrow(1, head, 1) for value in (scores, greatest))
        scores = scores.slice_scatter(power_of_e(own - most), 1, head, head + 1)
    return scores


def power_of_e(x: Tensor) -> Tensor:
    """In float32: a polynomial of degree six, whose degree is published of the program's SiLU,
    times a power of two that is written as an exponent."""
    turns = x.clamp_min(_LEAST) * math.log2(math.e)
    whole = torch.round(turns)
    rest = turns - whole
    power = rest * _SERIES[-1] + _SERIES[-2]
    for factor in reversed(_SERIES[:-2]):
        power = power * rest + factor
    return power * ((whole.to(torch.int32) + _BIAS) * _MANTISSA).view(torch.float32)


class _InHalves(nn.Module):
    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner.half()

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x.half()).float()


@lru_cache(maxsize=16)
def _stages(ffn: int, *sizes: int) -> Stages:
    """With a feed-forward block behind, if it has `ffn` values."""

    def layer() -> nn.Module:
        behind = [_InHalves(DecodeFeedForward(sizes[0], ffn))] if ffn else []
        return nn.Sequential(GroupedAttention(*sizes), *behind)

    return stages_of(layer, [(1, sizes[0])], torch.float32, keeps_types=True)


def _measured(target: Target, row: Row, ffn: int, layers: int) -> tuple[Measured]:
    """Columns `dim`, `context`; optional `heads`, `kv_heads` and `head_dim`."""
    pes, heads = row.count("p"), row.optional("heads", _HEADS)
    key_heads, size = row.optional("kv_heads", _KEY_HEADS), row.optional("head_dim", _HEAD_DIM)
    if heads % key_heads or size % 2:
        raise UserError(
            row.where,
            expected="as many heads of queries for each of keys, of an even number of values",
            got=f"heads {heads}, kv_heads {key_heads}, head_dim {size}",
            change="correct the table",
        )
    stages = _stages(ffn, row.count("dim"), heads, key_heads, size, row.count("context"))
    reading = partial(repeated, layers)
    machine, tiling = on_grid(target, pes, pes), in_published_groups(pes)
    return (Measured(stages, machine, tiling, reading, row.where),)


def attention_block(target: Target, row: Row) -> tuple[Measured]:
    """Cycles of so many `layers` one after the other, 1 if not given."""
    return _measured(target, row, 0, row.optional("layers", 1))


def steady_pipeline(target: Target, row: Row) -> tuple[Measured]:
    """Cycles from token to token of `layers` layers on four regions of p x p PEs."""
    return _measured(target, row, row.count("ffn"), -(-row.count("layers") // _PIPELINE_STAGES))


KERNELS = (
    PlanKernel("attention_block", "wse3", ("cycles",), attention_block),
    PlanKernel("steady_pipeline", "wse3", ("cycles",), steady_pipeline),
)
