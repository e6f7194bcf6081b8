"""One transformer layer over a whole prompt (prefill), fp16, on p x p PEs, one merged head.

The published program of WaferLLM, built from the pieces of measured kernels; no table of it is
shipped, so nothing here is fitted or checked as a whole. The products are ring products (gemm.py)
of tiles of seq / p, dim / p and ffn / p; keys and values reuse the queries' skewed input, the gate
that of the wide layer. The scores multiply by a transpose: only the keys travel, and after each
step every row sums its tiles of scores to the PE they belong to. Norms and softmax use sums over a
row in one level. Columns `seq_per_pe` or `seq` are optional.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ....compiler.kernels.collectives import words as link_words
from ....compiler.targets.target import Target
from ..exchange import overlapped, tile_of
from ..line import Timing, all_reduce_tree, sums_around, timing
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
        """p steps: multiply, exchange the keys, find the row's next root (a division), sum the
        tiles of scores to it, clear them."""
        words = int(link_words(self.target.noc, self.seq**2, _ITEMSIZE))
        keys = tile_of(self.target, self.dim * self.seq, _ITEMSIZE)
        product = local_product_cycles(self.target, self.seq, self.dim, self.seq)
        step = (
            software(self.target, "step_cycles")
            + overlapped(product, keys)
            + self.target.vector.special_cycles
            + self._vector(self.seq**2)
        )
        return sums_around(self.pes, step, words, self._timing)

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
        words = int(link_words(self.target.noc, self.seq, bytes_each))
        done = all_reduce_tree(np.zeros(self.pes), 1, words, self._timing, sends=2)
        return software(self.target, "call_cycles") + float(done.mean())

    @property
    def _timing(self) -> Timing:
        """The program's sums move a word per cycle of the datapath, as those of gemv.py do."""
        return timing(self.target, self.target.noc.link_bytes_per_cycle)

    def _turn(self) -> float:
        """A turn of an inline loop around a vector over the PE's tokens."""
        vector = groups(self.target, _DTYPE, self.seq) * group_cycles(self.target, _DTYPE)
        return software(self.target, "turn_cycles") + vector

    def _vector(self, elements: int) -> float:
        return vector_cycles(self.target, _DTYPE, elements)


KERNELS = (Kernel("prefill_layer", "wse3", ("cycles",), prefill_layer),)
