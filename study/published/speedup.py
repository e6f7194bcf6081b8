"""Speed-up of an unstructured sparse 12k x 12k matrix product on a whole wafer, weights streamed.

A column of PEs holds the 12k input features, spread over its rows, for its share of the result
columns; the number of result columns is not published, 12k is a reading of the name. Each arriving
non-zero weight triggers one multiply-add over the PE's result columns; every row of weights also
costs a trigger to open and to close its sum, which does not shrink with the density. The slowest PE
of the column sets the pace; its non-zeros are counted in a real random mask.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from ...compiler.machine.instruction import multiply_add_cycles
from ...compiler.plan.evidence.mechanisms import TRIGGERED_PRODUCT
from ...compiler.targets.target import Target
from ...sim.validation.row import Row
from .kernel import PublishedKernel, made_of

_SIZE = 12_000
_DTYPE = "float16"
_LEVELS = 2**16


@lru_cache(maxsize=16)
def slowest_nonzeros(size: int, density: float, pes: int) -> int:
    """Most non-zero weights of one PE: a size x size mask, its input features over `pes` PEs."""
    features = -(-size // pes)
    if density >= 1:
        return features * size
    rng = np.random.default_rng(0)
    kept = round(density * _LEVELS)
    tallies = [
        np.count_nonzero(rng.integers(0, _LEVELS, (features, size), np.uint16) < kept)
        for _ in range(0, size, features)
    ]
    return int(max(tallies))


def speedup(target: Target, row: Row) -> tuple[float]:
    """Time of the dense product over time at this sparsity."""
    dense, sparse = (
        _cycles(target, density) for density in (1.0, 1 - row.number("sparsity", most=1))
    )
    return (dense / sparse,)


def _cycles(target: Target, density: float) -> float:
    columns = -(-_SIZE // target.columns)
    each = target.sparsity.nonzero_cycles + float(multiply_add_cycles(target, _DTYPE, columns))
    features = _SIZE + -(-_SIZE // target.rows)
    triggers = features * target.vector.trigger_cycles
    return slowest_nonzeros(_SIZE, density, target.rows) * each + triggers


KERNELS = (
    PublishedKernel(
        "sparse_speedup", "wse2", ("speedup_measured",), speedup, made_of(TRIGGERED_PRODUCT)
    ),
)
