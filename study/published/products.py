"""Matrix products on p x p PEs: rings, SUMMA, and products with vectors.

mesh_gemm                   fp16 on a folded ring (MeshGEMM); mean of many products.
summa_overlapped            fp16 with row and column multicast, double-buffered.
gemv_tree                   fp16; the local product, its sums over a column in two levels and back.
gemv_chain_reduce_broadcast f32; the vendor library's broadcast of the vector down the columns, the
                            local product, the library's chain along the rows.
"""

from __future__ import annotations

from dataclasses import replace

import torch

from ...compiler.machine.instruction import software
from ...compiler.plan.stage_record import Tiling
from ...compiler.targets.target import Target
from ...sim.validation.row import Row
from .kernel import PlanKernel
from .measured import Measured, linear_stages, on_grid, product_cycles


def square(algorithm: str, target: Target, row: Row) -> Measured:
    """A linear layer of p x tile_m tokens whose three matrices are cut p times along both axes."""
    pes, sizes = row.count("p"), [row.count(f"tile_{axis}") for axis in "mkn"]
    stages = linear_stages(*(pes * size for size in sizes), torch.float16)
    tiling = Tiling(pes, pes, pes, algorithm=algorithm)
    return Measured(stages, on_grid(target, pes, pes), tiling, product_cycles, row.where)


def mesh_gemm(target: Target, row: Row) -> tuple[Measured]:
    """Cycles of one product of many."""
    return (square("ring", target, row),)


def summa_overlapped(target: Target, row: Row) -> tuple[Measured]:
    """Cycles of one product: the first multicast, then p steps."""
    return (square("summa", target, row),)


def gemv_tree(target: Target, row: Row) -> tuple[Measured]:
    """Mean cycles of one of many products with a vector."""
    pes, tile = row.count("p"), row.count("tile")
    groups = row.count("groups", most=pes)
    tiling = Tiling(pes, 1, pes, algorithm="all-reduce", groups=groups)
    stages = linear_stages(1, pes * tile, pes * tile, torch.float16)
    return (Measured(stages, on_grid(target, pes, pes), tiling, product_cycles, row.where),)


def gemv_chain(target: Target, row: Row) -> tuple[Measured]:
    """Two library calls, a broadcast and a chain over p PEs, and a local tile x tile product."""
    pes, words = row.count("p"), row.count("words_f32")
    machine = on_grid(target, pes, pes)
    call = software(target, "library_call_cycles")
    machine = replace(machine, noc=replace(machine.noc, collective_start_cycles=call))
    tiling = Tiling(pes, 1, pes, groups=1)
    stages = linear_stages(1, pes * words, pes * words, torch.float32)
    return (Measured(stages, machine, tiling, product_cycles, row.where),)


KERNELS = (
    PlanKernel("mesh_gemm", "wse3", ("cycles",), mesh_gemm),
    PlanKernel("summa_overlapped", "wse3", ("cycles",), summa_overlapped),
    PlanKernel("gemv_tree", "wse3", ("cycles",), gemv_tree),
    PlanKernel("gemv_chain_reduce_broadcast", "wse3", ("cycles",), gemv_chain),
)
