"""Sums of f32 vectors over a row of PEs to its first one (arXiv:2404.15888's algorithms).

chain       every PE adds its words to what its neighbour sends and passes the sum on.
two-phase   chains inside groups of S PEs, then a chain over the groups' first PEs. Inside a group
            each PE's route is fixed, so a step is two ramps and a hop; a step between groups, as
            one of the single chain, waits one cycle more for the route to be switched.
"""

from __future__ import annotations

import numpy as np

from ....compiler.kernels.collectives import reduce_chain
from ....compiler.targets.target import Target
from ..pe import software
from .kernel import Kernel, Row


def chain(target: Target, row: Row) -> tuple[float]:
    """Cycles of the single chain: the vendor model of compiler/kernels/collectives."""
    words, pes = np.array(row.count("words_f32")), np.array(row.count("pes"))
    return (float(reduce_chain(target.noc, words, pes)),)


def two_phase(target: Target, row: Row) -> tuple[float]:
    """Cycles of the two chains. The root's ramp takes every word twice, once per phase.

    With a single group, or groups of one, it is the single chain.

    T = 2 B + (S - 1) (2 ramp + hop) + (P / S - 1) (S hop + 2 ramp + relay) + start
    """
    noc, words = target.noc, row.count("words_f32")
    size = row.count("group_size")
    groups = -(-row.count("pes") // size)
    if min(groups, size) == 1:
        return chain(target, row)
    inside = (size - 1) * (2 * noc.ramp_cycles + noc.hop_cycles)
    between = size * noc.hop_cycles + 2 * noc.ramp_cycles + software(target, "relay_cycles")
    return (2 * words + inside + (groups - 1) * between + noc.collective_start_cycles,)


KERNELS = (
    Kernel("reduce_chain", "wse2", ("cycles",), chain),
    Kernel("reduce_two_phase", "wse2", ("cycles",), two_phase),
)
