"""One transformer layer over a whole prompt (prefill), fp16, on p x p PEs, one merged head.

The published program of WaferLLM, built from the pieces of measured kernels; no table of it is
shipped, so nothing here is fitted or checked as a whole. The products are ring products of tiles of
seq / p, dim / p and ffn / p; keys and values reuse the queries' skewed input, the gate that of the
wide layer. The scores multiply by a transpose: only the keys travel, and after each step every row
sums its tiles of scores to the PE they belong to. One program does all products: in every step it
finds out whether it is the first, how large its two tiles are and whether it multiplies by a
transpose, each as long as a turn of a loop. Norms and softmax use sums over a row in one level.
Columns `seq_per_pe` or `seq` are optional.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor, nn

from ...compiler.machine.collectives import all_reduce_tree, step_cycles, words
from ...compiler.machine.exchange import message, overlapped_cycles
from ...compiler.machine.instruction import multiply_add_cycles, software, written_cycles
from ...compiler.machine.local_product import mapped_product_cycles
from ...compiler.machine.ring import ring_cycles
from ...compiler.plan.evidence.mechanisms import EXCHANGE
from ...compiler.plan.program import Stages
from ...compiler.plan.stage_record import Tiling
from ...compiler.targets.target import Target
from ...sim.validation.row import Row
from .decode import Norm, exponential, rotated, softmax
from .kernel import PlanKernel, PublishedKernel, made_of
from .measured import Measured, all_cycles, on_grid, stages_of

_DTYPE, _ITEMSIZE = "float16", 2
_TOKENS = 4096
_DECISIONS = 4


def prefill_layer(target: Target, row: Row) -> tuple[float]:
    """Cycles of one layer."""
    pes = row.count("p")
    seq = row.optional("seq_per_pe", -(-row.optional("seq", _TOKENS) // pes))
    dim, ffn = row.count("dim_per_pe"), row.count("ffn_per_pe")
    weights, states = 4 * dim * dim + 3 * dim * ffn, seq * (3 * dim + ffn + seq)
    row.require_memory(target, (weights + states) * _ITEMSIZE)
    layer = _Layer(target, pes, seq, dim, ffn)
    return (layer.products() + layer.scores() + layer.elementwise(),)


def sums_around(target: Target, pes: int, step: float, word_count: int) -> float:
    """Cycles of `pes` steps, each of which ends with a sum along the line to another PE.

    A PE takes `step` cycles of its own before it adds its words. The PE that gets the sum goes
    round a ring folded into the line: out over every second PE, back over the others.
    """
    noc = target.noc
    ready, onward = np.zeros(pes), float(step_cycles(noc))
    for root in (0, *range(1, pes, 2), *range((pes - 1) // 2 * 2, 0, -2)):
        ready += step + noc.issue_cycles
        for arm in (ready[:root:-1], ready[:root]):
            if len(arm):
                behind = np.arange(len(arm)) * onward
                start = np.maximum.accumulate(arm - behind) + behind
                arm[:] = start + noc.relay_cycles + word_count
                ready[root] = max(ready[root], start[-1] + onward) + word_count
    return float(ready.max())


@dataclass(frozen=True)
class _Layer:
    target: Target
    pes: int
    seq: int
    dim: int
    ffn: int

    def products(self) -> float:
        """Queries, keys, values, weighted values, output, and the three of the wide layer."""
        seq, dim, ffn = self.seq, self.dim, self.ffn
        shapes = (
            *((seq, dim, dim, True), (seq, dim, dim, False), (seq, dim, dim, False)),
            *((seq, seq, dim, True), (seq, dim, dim, True)),
            *((seq, dim, ffn, True), (seq, dim, ffn, False), (seq, ffn, dim, True)),
        )
        return sum(self._product(*shape) for shape in shapes)

    def _product(self, m: int, k: int, n: int, skew: bool) -> float:
        left, right = (message(self.target, size * _ITEMSIZE) for size in (m * k, k * n))
        compute = mapped_product_cycles(self.target, _DTYPE, m, k, n)
        ring = ring_cycles(self.target, self.pes, left, right, compute, skew)
        return float(ring) + self.pes * self._deciding

    @property
    def _deciding(self) -> float:
        return _DECISIONS * software(self.target, "turn_cycles")

    def scores(self) -> float:
        """p steps: multiply, exchange the keys, find the row's next root (a division), sum the
        tiles of scores to it, clear them."""
        count = int(words(self.target.noc, self.seq**2, _ITEMSIZE))
        keys = message(self.target, self.dim * self.seq * _ITEMSIZE)
        product = mapped_product_cycles(self.target, _DTYPE, self.seq, self.dim, self.seq)
        step = (
            software(self.target, "step_cycles")
            + self._deciding
            + float(overlapped_cycles(product, keys))
            + self.target.vector.special_cycles
            + self._vector(self.seq**2)
        )
        return sums_around(self.target, self.pes, step, count)

    def elementwise(self) -> float:
        """Two norms, rotary embedding, softmax, SiLU, two residual sums."""
        special, seq, dim = self.target.vector.special_cycles, self.seq, self.dim
        norm = self._vector(seq * dim) + 3 * dim * self._turn() + 3 * seq * special
        softmax = self._vector(seq * seq) + 4 * seq * self._turn() + (seq * seq + seq) * special
        gate = 2 * seq * self.ffn * special + self._vector(seq * self.ffn)
        rotate = 12 * (dim // 2) * self._vector(seq)
        residuals = 2 * self._vector(seq * dim)
        sums = 3 * self._row_sum(_ITEMSIZE) + self._row_sum(self.target.noc.link_bytes_per_cycle)
        return 2 * norm + softmax + gate + rotate + residuals + sums

    def _row_sum(self, bytes_each: int) -> float:
        """A number for each of the PE's tokens, to all PEs of the row. Sums travel two to a word,
        the maximum of the softmax one by one."""
        count = words(self.target.noc, self.seq, bytes_each)
        pes, one = np.array(self.pes), np.array(1)
        return float(all_reduce_tree(self.target.noc, count, pes, one))

    def _turn(self) -> float:
        """A turn of an inline loop around a vector over the PE's tokens."""
        return software(self.target, "turn_cycles") + self._elements(self.seq)

    def _vector(self, elements: int) -> float:
        return written_cycles(self.target) + self._elements(elements)

    def _elements(self, elements: int) -> float:
        return float(multiply_add_cycles(self.target, _DTYPE, elements))


class PrefillLayer(nn.Module):
    """The layer as a torch module, of (1, tokens, dim)."""

    def __init__(self, dim: int, ffn: int) -> None:
        super().__init__()
        self.dim = dim
        self.norm, self.wide_norm = Norm(dim), Norm(dim)
        sizes = {"query": (dim, dim), "key": (dim, dim), "value": (dim, dim), "output": (dim, dim)}
        sizes |= {"gate": (dim, ffn), "up": (dim, ffn), "down": (ffn, dim)}
        self.layers = nn.ModuleDict({n: nn.Linear(*s, bias=False) for n, s in sizes.items()})
        self.cosine, self.sine = (nn.Parameter(torch.empty(dim // 2)) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        layers, normed = self.layers, self.norm(x)
        turns = self.cosine, self.sine
        query, key = (rotated(layers[name](normed), *turns) for name in ("query", "key"))
        shares = softmax(torch.bmm(query, key.transpose(1, 2)) * self.dim**-0.5)
        x = x + layers["output"](torch.bmm(shares, layers["value"](normed)))
        normed = self.wide_norm(x)
        gate = layers["gate"](normed)
        return x + layers["down"](gate / (1 + exponential(-gate)) * layers["up"](normed))


@lru_cache(maxsize=16)
def _stages(tokens: int, dim: int, ffn: int) -> Stages:
    return stages_of(lambda: PrefillLayer(dim, ffn), [(1, tokens, dim)], torch.float16)


def prefill_block(target: Target, row: Row) -> tuple[Measured]:
    """Cycles of the layer as a plan has it: every product on the ring skews its inputs anew, and
    the scores are one too. Columns as of `prefill_layer`."""
    pes = row.count("p")
    seq = row.optional("seq_per_pe", -(-row.optional("seq", _TOKENS) // pes))
    stages = _stages(pes * seq, pes * row.count("dim_per_pe"), pes * row.count("ffn_per_pe"))
    tiling = Tiling(pes, pes, pes, algorithm="ring")
    return (Measured(stages, on_grid(target, pes, pes), tiling, all_cycles, row.where),)


KERNELS = (
    PublishedKernel("prefill_layer", "wse3", ("cycles",), prefill_layer, made_of(EXCHANGE)),
    PlanKernel("prefill_block", "wse3", ("cycles",), prefill_block),
)
