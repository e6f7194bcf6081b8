"""Matrix-vector products whose partial sums are reduced over a line of PEs and sent back.

gemv_tree                   fp16; the measured program times the all-reduce of a column, repeated:
                            clear the result, sum in two levels, multicast back, start again. Every
                            PE waits for the sum, so a repetition is as long as the way from the
                            last PE that hears the sum to the root and back.
gemv_chain_reduce_broadcast f32; the vendor library's broadcast of the vector down the columns, the
                            local product, the library's chain along the rows.
"""

from __future__ import annotations

import numpy as np

from ....compiler.targets.target import Target
from ..line import all_reduce_tree, broadcast_cycles, chain_cycles, steady_period, timing
from ..pe import instruction_cycles, mapped_product_cycles, software
from .kernel import Kernel, Row

_ITERATIONS = 3
_HALF_BYTES, _SINGLE_BYTES = 2, 4


def tree(target: Target, row: Row) -> tuple[float]:
    """Mean cycles of one of many repetitions. Two fp16 values share a word and a beat."""
    pes, tile = row.count("p"), row.count("tile")
    groups = row.count("groups", most=pes)
    row.require_memory(target, (tile * tile + 2 * tile) * _HALF_BYTES)
    words = -(-tile * _HALF_BYTES // target.noc.link_bytes_per_cycle)
    of = timing(target, beat_bytes=target.noc.link_bytes_per_cycle)
    between = software(target, "call_cycles") + instruction_cycles(target)
    times = [np.zeros(pes)]
    for _ in range(_ITERATIONS):
        times.append(all_reduce_tree(times[-1] + between, groups, words, of, sends=2))
    return (steady_period(times),)


def chain(target: Target, row: Row) -> tuple[float]:
    """Two library calls, a broadcast and a chain over p PEs, and a local tile x tile product."""
    pes, words, tile = row.count("p"), row.count("words_f32"), row.count("tile")
    row.require_memory(target, (tile * tile + tile + words) * _SINGLE_BYTES)
    of = timing(target, beat_bytes=target.noc.link_bytes_per_cycle)
    flight = broadcast_cycles(pes, words, of) + chain_cycles(pes, words, of)
    product = instruction_cycles(target) + mapped_product_cycles(target, "float32", tile, 1, tile)
    return (2 * software(target, "library_call_cycles") + flight + product,)


KERNELS = (
    Kernel("gemv_tree", "wse3", ("cycles",), tree),
    Kernel("gemv_chain_reduce_broadcast", "wse3", ("cycles",), chain),
)
