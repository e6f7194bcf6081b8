"""Attention of grouped queries for one token (decoding), fp16, on p x p PEs, and a layer with it.

The rest of a layer follows the published program of `decode`; how keys and values of grouped
queries lie on the PEs is not published. Here they lie as a plan lays a batch of matrices: the heads
of keys beside each other, each with lines of PEs of its own. So these predictions say what a plan
of such a module would take, and only in part what was measured.
"""

from __future__ import annotations

from functools import lru_cache, partial

import torch
from torch import Tensor, nn

from ...backend.errors import UserError
from ...compiler.plan.program import Stages
from ...compiler.plan.stage_record import Tiling
from ...compiler.targets.target import Target
from ...sim.validation.row import Row
from .decode import DecodeFeedForward, Norm, rotated, softmax
from .kernel import PlanKernel
from .measured import Measured, on_grid, repeated, stages_of

_HEADS, _KEY_HEADS, _HEAD_DIM = 32, 8, 128
"""Of the model that was measured, Qwen3-4B."""
_PIPELINE_STAGES = 4


class GroupedAttention(nn.Module):
    """`heads` heads of queries of `size` values each, of which as many share a head of keys and
    values; those of `context` earlier tokens lie there like weights."""

    def __init__(self, dim: int, heads: int, key_heads: int, size: int, context: int) -> None:
        super().__init__()
        self.heads, self.key_heads, self.size = heads, key_heads, size
        self.norm, self.query_norm, self.key_norm = Norm(dim), Norm(size), Norm(size)
        self.qkv = nn.Linear(dim, (heads + 2 * key_heads) * size, bias=False)
        self.keys = nn.Parameter(torch.empty(key_heads, size, context))
        self.values = nn.Parameter(torch.empty(key_heads, context, size))
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
        shares = softmax(torch.bmm(grouped, self.keys) * self.size**-0.5)
        found = torch.bmm(shares, self.values).view(1, sizes[0])
        return x + self.output(found) + 0 * (key.flatten()[0] + value.flatten()[0])


@lru_cache(maxsize=16)
def _stages(ffn: int, *sizes: int) -> Stages:
    """With a feed-forward block behind, if it has `ffn` values."""

    def layer() -> nn.Module:
        attention = GroupedAttention(*sizes)
        return nn.Sequential(attention, DecodeFeedForward(sizes[0], ffn)) if ffn else attention

    return stages_of(layer, [(1, sizes[0])], torch.float16)


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
    tiling = Tiling(pes, 1, pes, algorithm="all-reduce")
    reading = partial(repeated, layers)
    return (Measured(stages, on_grid(target, pes, pes), tiling, reading, row.where),)


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
