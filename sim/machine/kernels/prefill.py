"""One transformer layer over a whole prompt (prefill), fp16, on p x p PEs, one merged head.

Built from the same pieces as the measured kernels; no table of it is shipped, so nothing here is
fitted or checked. The products are ring products (gemm.py) of tiles of seq / p, dim / p and
ffn / p; keys and values reuse the queries' skewed input. The scores multiply by a transpose: only
the keys travel, and after each step every row sums its tiles of scores to the PE they belong to, a
chain whose PEs run one behind the other. Norms and softmax use sums over a row in one level.
Columns `seq_per_pe` or `seq` are optional.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ....compiler.targets.target import Target
from ..exchange import overlapped, tile_of
from ..line import all_reduce_tree, timing
from ..pe import group_cycles, groups, software, vector_cycles
from .gemm import local_product_cycles, ring_product_cycles
from .kernel import Kernel, Row

_DTYPE, _ITEMSIZE = "float16", 2
_TOKENS = 4096


def prefill_layer(target: Target, row: Row) -> tuple[float]:
    """Cycles of one layer."""
    pes = row.count("p")
    seq = row.optional("seq_per_pe", -(-row.optional("seq", _TOKENS) // pes))
    dim, ffn = row.count("dim_per_pe"), row.count("ffn_per_pe")
    weights, states = 4 * dim * dim + 3 * dim * ffn, seq * (3 * dim + ffn + seq)
    row.require_memory(target, (weights + states) * _ITEMSIZE)
    layer = _Layer(target, pes, seq, dim, ffn)
    return (layer.products() + layer.scores() + layer.elementwise(),)


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
        return sum(ring_product_cycles(self.target, self.pes, *shape) for shape in shapes)

    def scores(self) -> float:
        """p steps: multiply, exchange the keys, pass the sum of scores on along the row."""
        of = timing(self.target, int(software(self.target, "beat_bytes")))
        words = self.seq**2 * _ITEMSIZE // self.target.noc.link_bytes_per_cycle
        keys = tile_of(self.target, self.dim * self.seq, _ITEMSIZE)
        product = local_product_cycles(self.target, self.seq, self.dim, self.seq)
        step = software(self.target, "step_cycles") + overlapped(product, keys)
        return self.pes * (step + of.issue + of.relay + words * of.word + of.neighbour)

    def elementwise(self) -> float:
        """Two norms, rotary embedding, softmax, SiLU, two residual sums."""
        special, seq, dim = self.target.vector.special_cycles, self.seq, self.dim
        norm = self._vector(seq * dim) + 3 * dim * self._turn() + 3 * seq * special
        softmax = 4 * seq * self._turn() + (seq * seq + seq) * special
        gate = 2 * seq * self.ffn * special + self._vector(seq * self.ffn)
        rotate = 12 * (dim // 2) * self._turn()
        sums = 2 * self._vector(seq * dim)
        return 2 * norm + softmax + gate + rotate + sums + 4 * self._row_sum()

    def _row_sum(self) -> float:
        of = timing(self.target, int(software(self.target, "beat_bytes")))
        words = -(-self.seq * _ITEMSIZE // self.target.noc.link_bytes_per_cycle)
        done = all_reduce_tree(np.zeros(self.pes), 1, words, of, sends=2)
        return software(self.target, "call_cycles") + float(done.mean())

    def _turn(self) -> float:
        """A turn of an inline loop around a vector over the PE's tokens."""
        vector = groups(self.target, _DTYPE, self.seq) * group_cycles(self.target, _DTYPE)
        return software(self.target, "turn_cycles") + vector

    def _vector(self, elements: int) -> float:
        return vector_cycles(self.target, _DTYPE, elements)


KERNELS = (Kernel("prefill_layer", "wse3", ("cycles",), prefill_layer),)
