"""Local part of sparse (N x K) times dense, f32: the compute phase of a grid of PEs.

A PE holds N / grid_h rows by K / grid_w columns of the sparse matrix. It loops over its columns
(csc), its rows (csr) or a list of non-zeros as long as that of the fullest PE (coo); each non-zero
starts one multiply-add of a padded row of the dense matrix into a row of the result. How the rows
are laid out decides whether the two operands meet in the same banks; then they are read one after
the other. The strided program multiplies a dense matrix, column by column.

A plan says what the slowest PE takes, with as many non-zeros as the fullest tile of a random mask.
The average over the PEs is what the slowest takes under a mask so much sparser that it has as many
non-zeros as a tile has in the mean; of the fastest PE, as the emptiest tile is expected to have.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import torch

from ...compiler.kernels.nonzeros import WeightTiles, expected_extreme
from ...compiler.plan.stage_record import Tiling
from ...compiler.targets.target import Target
from ...sim.validation.row import Row
from .kernel import PlanKernel
from .measured import Measured, arithmetic_cycles, linear_stages, on_grid

_READS = 2
_HALVINGS = 40


def spmm(storage: str, conflict: bool, target: Target, row: Row) -> tuple[Measured, ...]:
    """Average, least and most cycles over the PEs.

    The conflict-free programs pad their arrays and were measured with a fixed cost that the others
    do not have (`software.layout_cycles`).
    """
    density = row.number("density_pct", most=100) / 100
    sizes = row.count("n_rows"), row.count("k_cols")
    into, out = row.count("grid_w"), row.count("grid_h")
    machine = _machine(target, row, storage, conflict)
    stages = linear_stages(row.count("vector_len"), sizes[1], sizes[0], torch.float32)
    tiling = Tiling(into, 1, out)

    def plan(kept: float) -> Measured:
        zeros = {"kernel.inner.weight": 1 - kept} if kept < 1 else {}
        return Measured(stages, machine, tiling, arithmetic_cycles, row.where, zeros)

    if storage == "coo":
        return (plan(density),)
    if density == 1:
        return (plan(density),) * 3
    tile = (sizes[0] // out) * (sizes[1] // into)
    counts = round(density * tile), expected_extreme(tile, density, into * out, least=True)
    sparser = (_density_of(*sizes, into, out, count) for count in counts)
    return tuple(plan(kept) for kept in (*sparser, density))


def _fullest(n_rows: int, k_cols: int, into: int, out: int, density: float) -> int:
    """Non-zeros of the fullest tile of a random mask, as expected."""
    tiles = WeightTiles(n_rows, k_cols, 1, density=density)
    return int(tiles.tile_max(np.array([into]), np.array([out]))[0])


def _density_of(n_rows: int, k_cols: int, into: int, out: int, count: int) -> float:
    """That of the random mask whose fullest tile has `count` non-zeros."""
    low, high = 0.0, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if _fullest(n_rows, k_cols, into, out, middle) < count:
            low = middle
        else:
            high = middle
    return high


def strided(target: Target, row: Row) -> tuple[Measured]:
    """Cycles of a dense product; a column of PEs holds the columns of A, a row its rows."""
    into, out, width = row.count("grid_w"), row.count("grid_h"), row.count("vector_len")
    stages = linear_stages(width, row.count("k_cols"), row.count("n_rows"), torch.float32)
    machine = _machine(target, row, "strided", conflict=True)
    return (Measured(stages, machine, Tiling(into, 1, out), arithmetic_cycles, row.where),)


def _machine(target: Target, row: Row, storage: str, conflict: bool) -> Target:
    machine = on_grid(target, row.count("grid_w"), row.count("grid_h"))
    if conflict:
        rates = machine.compute["float32"]
        apart = replace(rates, sustained_fraction=1 / _READS)
        software = replace(machine.software, layout_cycles=None)
        machine = replace(machine, compute={**machine.compute, "float32": apart}, software=software)
    sparsity = replace(machine.sparsity, storage=storage)  # type: ignore[arg-type]
    return replace(machine, sparsity=sparsity)


_SLOWEST, _ALL = ("cycles_max",), ("cycles_avg", "cycles_min", "cycles_max")

KERNELS = (
    PlanKernel("spmm_csc_conflict_free", "wse2", _ALL, partial(spmm, "csc", False)),
    PlanKernel("spmm_csc_bank_conflict", "wse2", _ALL, partial(spmm, "csc", True)),
    PlanKernel("spmm_csr_conflict_free", "wse2", _ALL, partial(spmm, "csr", False)),
    PlanKernel("spmm_coo_bank_conflict", "wse2", _SLOWEST, partial(spmm, "coo", True)),
    PlanKernel("gemm_strided", "wse2", ("cycles_avg",), strided),
)
