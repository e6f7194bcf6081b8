"""Sums of f32 vectors over a row of PEs to its first one (arXiv:2404.15888's algorithms).

chain       every PE adds its words to what its neighbour sends and passes the sum on.
two-phase   chains inside groups of S PEs, then a chain over the groups' first PEs.

A linear layer that has one input feature on each PE sums its outputs so.
"""

from __future__ import annotations

import torch

from ...compiler.plan.stage_record import Tiling
from ...compiler.targets.target import Target
from ...sim.validation.row import Row
from .kernel import PlanKernel
from .measured import Measured, linear_stages, network_cycles, on_grid


def chain(target: Target, row: Row) -> tuple[Measured]:
    """Cycles of the single chain."""
    return (_sum(target, row, groups=1),)


def two_phase(target: Target, row: Row) -> tuple[Measured]:
    """Cycles of the two chains. With a single group, or groups of one, it is the single chain."""
    pes, size = row.count("pes"), row.count("group_size")
    groups = -(-pes // size)
    return (_sum(target, row, groups=1 if min(groups, size) == 1 else groups),)


def _sum(target: Target, row: Row, groups: int) -> Measured:
    pes, words = row.count("pes"), row.count("words_f32")
    stages = linear_stages(1, pes, words, torch.float32)
    tiling = Tiling(pes, 1, 1, groups=groups)
    return Measured(stages, on_grid(target, pes, 1), tiling, network_cycles, row.where)


KERNELS = (
    PlanKernel("reduce_chain", "wse2", ("cycles",), chain),
    PlanKernel("reduce_two_phase", "wse2", ("cycles",), two_phase),
)
