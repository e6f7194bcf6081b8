"""Local part of sparse (N x K) times dense, f32: the compute phase of a grid of PEs.

A PE holds N / grid_h rows by K / grid_w columns in compressed columns. It loops over its columns;
each non-zero starts one multiply-add of a padded row of the dense matrix into a row of the result.
How the rows are laid out decides whether the two operands meet in the same banks.

The masks are drawn with exactly density x N x K non-zeros, as the measured programs drew theirs;
the slowest and the fastest PE are the mean over several masks.
"""

from __future__ import annotations

from functools import lru_cache, partial

import numpy as np

from ....compiler.targets.target import Target
from ..pe import nonzero_cycles, software
from .kernel import Kernel, Row

_MASKS = 5


@lru_cache(maxsize=64)
def mask_extremes(
    n_rows: int, k_cols: int, nonzeros: int, grid_h: int, grid_w: int
) -> tuple[float, float, float]:
    """Mean, least and most non-zeros of a tile, over real uniform random masks."""
    tallies = [
        _tile_counts(seed, n_rows, k_cols, nonzeros, grid_h, grid_w) for seed in range(_MASKS)
    ]
    extremes = [(float(t.mean()), float(t.min()), float(t.max())) for t in tallies]
    mean, least, most = np.mean(extremes, axis=0)
    return float(mean), float(least), float(most)


def _tile_counts(
    seed: int, n_rows: int, k_cols: int, nonzeros: int, grid_h: int, grid_w: int
) -> np.ndarray:
    """Non-zeros of every tile of one mask, drawn without replacement."""
    rng = np.random.default_rng(seed)
    rows, columns = divmod(
        rng.choice(n_rows * k_cols, nonzeros, replace=False, shuffle=False), k_cols
    )
    tiles = rows // -(-n_rows // grid_h) * grid_w + columns // -(-k_cols // grid_w)
    return np.bincount(tiles, minlength=grid_h * grid_w)


def spmm(banks_conflict: bool, target: Target, row: Row) -> tuple[float, float, float]:
    """Average, least and most cycles over the PEs.

    The conflict-free program pads its arrays and was measured with a fixed cost that the other
    does not have (`software.layout_cycles`).
    """
    n_rows, k_cols, width = row.count("n_rows"), row.count("k_cols"), row.count("grid_w")
    nonzeros = round(n_rows * k_cols * row.number("density_pct") / 100)
    height, rest = row.count("grid_h"), row.count("vector_len")
    row.require_memory(target, 4 * rest * (-(-n_rows // height) + -(-k_cols // width)))
    tallies = mask_extremes(n_rows, k_cols, nonzeros, row.count("grid_h"), width)
    each = nonzero_cycles(target, "float32", row.count("vector_len"), banks_conflict)
    fixed = -(-k_cols // width) * target.vector.task_cycles
    fixed += 0 if banks_conflict else software(target, "layout_cycles")
    mean, least, most = (fixed + tally * each for tally in tallies)
    return mean, least, most


_COLUMNS = ("cycles_avg", "cycles_min", "cycles_max")

KERNELS = (
    Kernel("spmm_csc_conflict_free", "wse2", _COLUMNS, partial(spmm, False)),
    Kernel("spmm_csc_bank_conflict", "wse2", _COLUMNS, partial(spmm, True)),
)
