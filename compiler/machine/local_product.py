"""Arithmetic of one product on one PE: a tile of weights times a slice of positions.

Where hardware starts instructions (`software.triggered`) each non-zero weight triggers one
multiply-add over the positions, or each arriving value one over the tile's out features, zeros
included, or a scatter over its non-zeros; a matrix unit takes dense blocks instead. Written out in
a program, a loop over the non-zeros loads the descriptors of each instruction anew, and dense tiles
are multiplied by instructions that are mapped over a vector of scalars. The fastest way is taken.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..targets.target import MatrixUnit, Target
from .arrays import Floats, Ints, ceil_div
from .instruction import column_groups, groups, mapped_cycles, multiply_add_cycles, written_cycles

_READS = 2


@dataclass(frozen=True)
class LocalProduct:
    """What the fullest PE multiplies; arrays over tilings.

    `nonzeros` of its `weights` cost time; they lie between `in_features` and `out_features`, with
    `taps` each. It goes through its `positions` in `turns`.
    """

    nonzeros: Ints
    weights: Ints
    in_features: Ints
    out_features: Ints
    positions: Ints
    turns: Ints
    taps: int
    is_sparse: bool
    dtype: str

    @property
    def features(self) -> Ints:
        return self.in_features + self.out_features


def cycles(target: Target, of: LocalProduct) -> Floats:
    """By the fastest of the ways, in whole cycles."""
    ways = triggered(target, of) if target.software.triggered else written(target, of)
    unit = target.matrix
    if unit is not None and of.dtype in unit.dtypes:
        ways = (*ways, _block_by_block(unit, of, target.arithmetic(of.dtype).macs_per_cycle))
    return np.ceil(np.minimum.reduce(ways))


def triggered(target: Target, of: LocalProduct) -> tuple[Floats, ...]:
    """The ways in which hardware starts the instructions."""
    dense = value_triggered(target, of)
    ways = weight_triggered(target, of), dense
    if of.is_sparse and target.sparsity.zero_skip:
        return (*ways, _scattered(target, of))
    return ways


def weight_triggered(target: Target, of: LocalProduct) -> Floats:
    """Every non-zero weight triggers a vector instruction over the positions."""
    turn = multiply_add_cycles(target, of.dtype, ceil_div(of.positions, of.turns))
    each = of.turns * (target.sparsity.nonzero_cycles + turn)
    return of.nonzeros * each + of.features * of.turns * target.vector.trigger_cycles


def value_triggered(target: Target, of: LocalProduct) -> Floats:
    """Every arriving value triggers, per tap, an instruction over the tile's out features."""
    each = target.sparsity.nonzero_cycles + multiply_add_cycles(target, of.dtype, of.out_features)
    sums = of.features * target.vector.trigger_cycles
    return of.positions * (of.in_features * of.taps * each + sums)


def _scattered(target: Target, of: LocalProduct) -> Floats:
    """Every arriving value triggers a scatter over the non-zeros that it meets."""
    rate = target.arithmetic(of.dtype).sustained_macs_per_cycle
    instructions = np.minimum(of.in_features * of.taps, of.nonzeros)
    return of.positions * (
        instructions * target.sparsity.nonzero_cycles
        + of.nonzeros / min(rate, target.sparsity.indexed_macs_per_cycle)
        + of.features * target.vector.trigger_cycles
    )


def written(target: Target, of: LocalProduct) -> tuple[Floats, ...]:
    """The ways that a program writes out."""
    ways = (looped(target, of),)
    if target.software.mapped_cycles is None or of.is_sparse:
        return ways
    return (*ways, _mapped_over_weights(target, of), _mapped_over_values(target, of))


def looped(target: Target, of: LocalProduct) -> Floats:
    """A loop over the non-zeros: the descriptors of each, then its vector over the positions.

    How they are stored says what is looped over outside: the columns (csc), the rows (csr), or
    nothing (coo), where the list of non-zeros is as long as on the fullest PE. A dense tile may be
    multiplied column by column (strided).
    """
    storage = target.sparsity.storage
    if storage == "strided":
        return _strided(target, of)
    turn = multiply_add_cycles(target, of.dtype, ceil_div(of.positions, of.turns))
    outside = {"csc": of.in_features * of.taps, "csr": of.out_features, "coo": 0}[storage]
    each = of.nonzeros * (written_cycles(target) + turn) + outside * target.vector.task_cycles
    return of.turns * each + (target.software.layout_cycles or 0.0)


def _strided(target: Target, of: LocalProduct) -> Floats:
    """Per input and position a lone loop around a multiply-add of a column of the tile. Its
    elements lie a row apart, in banks that conflict: they are read one after the other."""
    conflicting = _READS / target.arithmetic(of.dtype).macs_per_cycle
    each = target.vector.loop_cycles + of.out_features * conflicting
    return of.positions * of.in_features * of.taps * each


def mapped_product_cycles(
    target: Target, dtype: str, m: Ints | int, k: Ints | int, n: Ints | int
) -> Floats:
    """A local (m x k) times (k x n): per k one set of descriptors, then n mapped instructions, each
    on a column of the result. Half of an instruction's descriptor work is done once."""
    column = mapped_cycles(target, dtype, column_groups(target, dtype, m))
    return written_cycles(target) / 2 + k * (written_cycles(target) + n * column)


def mapped_vector_cycles(target: Target, dtype: str, k: Ints | int, n: Ints | int) -> Floats:
    """A local vector of k times (k x n): one set of descriptors, then k mapped instructions of n
    elements, one after the other through the matrix."""
    return written_cycles(target) + k * mapped_cycles(target, dtype, groups(target, dtype, n))


def _mapped_over_weights(target: Target, of: LocalProduct) -> Floats:
    turn = ceil_div(of.positions, of.turns)
    inputs = of.in_features * of.taps
    return of.turns * mapped_product_cycles(target, of.dtype, turn, inputs, of.out_features)


def _mapped_over_values(target: Target, of: LocalProduct) -> Floats:
    inputs = of.in_features * of.taps
    return of.positions * mapped_vector_cycles(target, of.dtype, inputs, of.out_features)


def _block_by_block(unit: MatrixUnit, of: LocalProduct, rate: float) -> Floats:
    """On a matrix unit: dense blocks of the tile, padded to whole ones."""
    blocks = (
        ceil_div(of.in_features, unit.in_features)
        * ceil_div(of.out_features, unit.out_features)
        * ceil_div(of.positions, unit.positions)
    )
    macs = unit.positions * unit.in_features * unit.out_features
    turns = (of.taps * blocks).astype(np.float64)
    return turns * (unit.issue_cycles + macs / rate)
