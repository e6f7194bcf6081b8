"""One transformer layer for one token (decoding), fp16, on p x p PEs, one merged head.

A PE holds dim / p of the hidden state, ffn / p of the wide one and kv / p of the keys, and the
matching tile of every weight. Each matrix-vector product is local, followed by an all-reduce along
a column (y) or a row (x) in two levels; products that share their input share the all-reduce. The
same five colours serve both axes, so changing the axis re-programs five routes on every PE.

Everything is blocking: a PE's time is the sum of what it does, and the all-reduces synchronise it
with its line. Those along a column depend on a PE's row only and vice versa, so the layer is two
lines of PEs in turn.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ....compiler.targets.target import Target
from ..line import Times, all_reduce_tree, steady_period, timing
from ..pe import instruction_cycles, mapped_cycles, software, vector_cycles
from .kernel import Kernel, Row

_DTYPE, _ITEMSIZE = "float16", 2
_KEYS = 4096
_COLOURS = 5
_LAYERS = 3
# Groups of the two-level sum, as the measured programs were configured; elsewhere 20.
_GROUPS = {360: 20, 375: 15, 420: 20, 540: 20, 660: 22}


def decode_layer(target: Target, row: Row) -> tuple[float]:
    """Mean cycles of one of many layers. Columns `kv` and `groups` are optional."""
    pes, dim, ffn = row.count("p"), row.count("dim_per_pe"), row.count("ffn_per_pe")
    groups = min(pes, row.optional("groups", _GROUPS.get(pes, 20)))
    keys = -(-row.optional("kv", _KEYS) // pes)
    row.require_memory(target, (4 * dim * dim + 3 * dim * ffn + 2 * dim * keys) * _ITEMSIZE)
    layer = _Layer(target, groups, dim, ffn, keys)
    x, y = [np.zeros(pes)], [np.zeros(pes)]
    for _ in range(_LAYERS):
        after = layer.run(x[-1], y[-1])
        x.append(after[0])
        y.append(after[1])
    return (steady_period(x) + steady_period(y),)


@dataclass(frozen=True)
class _Layer:
    target: Target
    groups: int
    dim: int
    ffn: int
    keys: int

    def run(self, x: Times, y: Times) -> tuple[Times, Times]:
        """Ready times along a row and along a column, one layer later. Local work counts on y."""
        dim, ffn, keys = self.dim, self.ffn, self.keys
        y = self._norm(y)
        y = self._reduce(y + 3 * self._product(dim, dim), 3 * dim)
        x = self._reduce(x + self._rotate() + self._turn() + self._product(dim, keys), keys)
        y = self._softmax(y + self._vector(keys) + self._turn())
        y = self._reduce(y + self._product(keys, dim), dim)
        x = self._reduce(x + self._turn() + self._product(dim, dim), dim)
        y = self._norm(y + self._vector(dim) + self._turn())
        y = self._reduce(y + 2 * self._product(dim, ffn), 2 * ffn)
        y = y + self._gate()
        x = self._reduce(x + self._turn() + self._product(ffn, dim), dim)
        return x, y + self._vector(dim) + self._turn()

    def _reduce(self, ready: Times, elements: int) -> Times:
        noc = self.target.noc
        of = timing(self.target, int(software(self.target, "beat_bytes")))
        words = -(-elements * _ITEMSIZE // noc.link_bytes_per_cycle)
        start = ready + software(self.target, "call_cycles")
        return all_reduce_tree(start, self.groups, words, of, sends=1)

    def _norm(self, ready: Times) -> Times:
        """Square and sum, all-reduce one number, scale by the weight and the root."""
        ready = self._reduce(ready + 2 * self._vector(self.dim), 1)
        return ready + 2 * self._vector(self.dim) + 3 * self.target.vector.special_cycles

    def _softmax(self, ready: Times) -> Times:
        """Largest, exponentials, their sum, division; two all-reduces of one number.

        The exponential is a short polynomial, mapped over the scores.
        """
        vector, special = self._vector(self.keys), self.target.vector.special_cycles
        ready = self._reduce(ready + vector, 1)
        exponentials = self.keys * software(self.target, "turn_cycles")
        ready = self._reduce(ready + 2 * vector + exponentials, 1)
        return ready + vector + special

    def _product(self, k: int, n: int) -> float:
        """Clear the result, load descriptors, k mapped multiply-adds of n elements."""
        mapped = k * mapped_cycles(self.target, _DTYPE, n)
        return self._vector(n) + instruction_cycles(self.target) + mapped

    def _rotate(self) -> float:
        """Rotary embedding of queries and keys: six half vectors each."""
        return 12 * self._vector(self.dim // 2)

    def _gate(self) -> float:
        """SiLU in a scalar loop over dim elements, a division each; one product of vectors."""
        each = self.target.vector.special_cycles + software(self.target, "turn_cycles")
        return self.dim * each + self._vector(self.ffn)

    def _turn(self) -> float:
        return _COLOURS * software(self.target, "route_cycles")

    def _vector(self, elements: int) -> float:
        return vector_cycles(self.target, _DTYPE, elements)


KERNELS = (Kernel("decode_layer", "wse3", ("cycles",), decode_layer),)
