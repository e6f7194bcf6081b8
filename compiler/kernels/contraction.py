"""The core of linear layers and convolutions: weights stay, activations stream.

A PE holds a tile of the weight, (out features / out_split) x (in features / in_split) x taps, and a
slice of the positions (pixels, tokens), positions / space_split. Each non-zero weight triggers one
vector instruction over the slice's positions:

    forward          out[k, :] += w * in[c, :]       partial sums reduced over the in_split rows
    input gradient   grad_in[c, :] += w * grad_out[k, :]        reduced over the out_split columns
    weight gradient  grad_w = <in[c, :], grad_out[k, :]>        reduced over the space_split copies

The rows of PEs lie in one of two orders. Either a slice is a block of in_split rows, and slices lie
one after the other: what a PE exchanges with the same PE of the next slice goes in_split hops, on
links that its whole block uses alike. Or slices are interleaved, and the rows that hold the same
weights are neighbours: then what passes between slices of the in features goes space_split hops, on
links that as many slices of the positions share. The tiling says which; both are searched. A batch
of products keeps the order inside the rows that each of them has to itself.

With few positions it pays to turn the loops round: each arriving value triggers one instruction
over the tile's out features, zeros included, or a scatter over its non-zeros. A machine with a
matrix unit may also multiply dense block by dense block. The fastest is taken.

Operands arrive by multicast (inputs along the row, gradients along the column). The loops run in
one of two orders, whichever is faster: operands outermost, then their arrival overlaps the
arithmetic and the reduction follows it; or sums outermost, then the arithmetic waits for the
operands and the reduction overlaps it as far as it can.

The first order holds the sums of a PE's positions, the second its operands. An order whose side
takes more than a fixed part of the memory is left out, unless its side is the smaller one; then the
PE goes through its positions in several turns: vectors are shorter, so that instructions start more
often, and sums are closed once per turn.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from ..targets.target import Matrix
from .collectives import (
    all_reduce,
    all_reduce_behind,
    border,
    broadcast,
    reduce,
    reduce_behind,
    transfer,
    words,
)
from .nonzeros import WeightTiles
from .site import Cost, Site
from .tilings import Floats, Ints, ceil_div

_HELD_PARTS = 4
"""One side of a product may take one of so many parts of a PE's memory; an assumption."""


@dataclass(frozen=True)
class Contraction:
    """A product with a weight. Positions are of one sample; `halo` counts the input positions a
    slice needs beyond its own (zero for one tap).

    A `loaded` weight is no parameter that lies there: it is sent to its PEs first. There may be a
    `batch` of such products, independent of each other (the heads of an attention).
    """

    weights: WeightTiles
    in_positions: int
    out_positions: int
    halo: int
    dtype: str
    itemsize: int
    loaded: bool = False
    batch: int = 1

    @property
    def vector_positions(self) -> int:
        """Length of the vector a weight multiplies: positions of the smaller side.

        A strided convolution visits one input per output, a transposed one the reverse.
        """
        return min(self.in_positions, self.out_positions)

    def macs(self, weights: int) -> int:
        return weights * self.vector_positions


@dataclass(frozen=True)
class _Tile:
    """Sizes on the largest tile, for every tiling of the site."""

    in_features: Ints
    out_features: Ints
    in_positions: Ints
    out_positions: Ints
    halo: Ints
    nonzeros: Ints
    sides: Sides


@dataclass(frozen=True)
class Sides:
    """Which sides of a product a PE can hold, and in how many turns over its positions."""

    holds_in: NDArray[np.bool_]
    holds_out: NDArray[np.bool_]
    turns: Ints

    @staticmethod
    def of(capacity_bytes: int, in_bytes: Ints, out_bytes: Ints, positions: Ints) -> Sides:
        """`in_bytes` and `out_bytes` are those of all positions of a PE."""
        small = np.minimum(in_bytes, out_bytes)
        needed = ceil_div(_HELD_PARTS * small, capacity_bytes)
        return Sides(
            (_HELD_PARTS * in_bytes <= capacity_bytes) | (in_bytes == small),
            (_HELD_PARTS * out_bytes <= capacity_bytes) | (out_bytes == small),
            np.clip(needed, 1, np.maximum(positions, 1)),
        )


def _tile(site: Site, product: Contraction) -> _Tile:
    tilings, weights = site.tilings, product.weights
    in_positions = ceil_div(product.in_positions, tilings.space_split)
    out_positions = ceil_div(product.out_positions, tilings.space_split)
    in_features = ceil_div(weights.in_features, tilings.in_split)
    out_features = ceil_div(weights.out_features, tilings.out_split)
    arriving, leaving = in_features * in_positions, out_features * out_positions
    size, longest = product.itemsize, np.maximum(in_positions, out_positions)
    return _Tile(
        in_features=in_features,
        out_features=out_features,
        in_positions=in_positions,
        out_positions=out_positions,
        sides=Sides.of(site.target.capacity_bytes, arriving * size, leaving * size, longest),
        halo=np.minimum(product.halo, product.in_positions - in_positions),
        nonzeros=tile_nonzeros(site, weights),
    )


def tile_nonzeros(site: Site, weights: WeightTiles) -> Ints:
    """Weights of the slowest tile that cost time: all of them on a machine that skips none."""
    splits = site.tilings.in_split, site.tilings.out_split
    if site.target.sparsity.zero_skip:
        return weights.tile_max(*splits)
    return weights.tile_size(*splits)


def forward(site: Site, product: Contraction) -> Cost:
    """Cost of out = weight * in."""
    tile, noc, size = _tile(site, product), site.target.noc, product.itemsize
    arriving = words(noc, tile.in_features * tile.in_positions, size)
    stream = broadcast(noc, arriving, site.tilings.out_split)
    stream = stream + _halo_cycles(site, product, tile, tile.in_features)
    sums = words(noc, tile.out_features * tile.out_positions, size)
    orders = tile.sides.holds_out, tile.sides.holds_in
    down = _reduced(site, sums, site.tilings.in_split, site.tilings.in_spacing)
    return _cost(site, product, tile, stream, down, orders)


def input_gradient(site: Site, product: Contraction) -> Cost:
    """Cost of grad_in = weight transposed * grad_out."""
    tile, noc, size = _tile(site, product), site.target.noc, product.itemsize
    arriving = words(noc, tile.out_features * tile.out_positions, size)
    stream = _down(site, arriving)
    stream = stream + _halo_cycles(site, product, tile, tile.out_features)
    sums = words(noc, tile.in_features * tile.in_positions, size)
    orders = tile.sides.holds_in, tile.sides.holds_out
    along = _reduced(site, sums, site.tilings.out_split, 1)
    return _cost(site, product, tile, stream, along, orders)


def weight_gradient(site: Site, product: Contraction) -> Cost:
    """Cost of grad_w = in * grad_out, for the non-zero weights only.

    The saved input is spread over the row that uses it and multicast again.
    """
    tile, noc, size = _tile(site, product), site.target.noc, product.itemsize
    saved = words(noc, tile.in_features * tile.in_positions, size)
    gradients = words(noc, tile.out_features * tile.out_positions, size)
    stream = (
        broadcast(noc, saved, site.tilings.out_split)
        + _down(site, gradients)
        + _halo_cycles(site, product, tile, tile.in_features)
    )
    sums = words(noc, tile.nonzeros, size)
    return _cost(site, product, tile, stream, _over_slices(site, sums))


class Kind(Enum):
    """What a product computes with its weight."""

    FORWARD = "forward"
    INPUT_GRADIENT = "input gradient"
    WEIGHT_GRADIENT = "weight gradient"


@dataclass(frozen=True)
class Part:
    """One of the products that an operator consists of."""

    kind: Kind
    product: Contraction


_COSTS: dict[Kind, Callable[[Site, Contraction], Cost]] = {
    Kind.FORWARD: forward,
    Kind.INPUT_GRADIENT: input_gradient,
    Kind.WEIGHT_GRADIENT: weight_gradient,
}


def price(site: Site, part: Part) -> Cost:
    """Cost of a product, its weight loaded first if it does not lie there.

    A batch is spread over the rows of PEs as far as it goes; those of a row run one after another.
    """
    product = part.product
    inside, turns = batch_site(site, product.batch)
    cost = _COSTS[part.kind](inside, replace(product, batch=1))
    loading = transfer(
        site.target.noc, turns * loaded_words(inside, product), site.tilings.out_split, 1
    )
    network = turns * cost.network + loading
    macs = product.batch * cost.macs_dense, product.batch * cost.macs_effective
    return Cost(turns * cost.compute, network, *macs)


def batch_site(site: Site, batch: int) -> tuple[Site, Ints]:
    """The rows that one product of a batch has to itself, and how many of them it does in turn."""
    tilings = site.tilings
    beside = np.minimum(batch, tilings.in_split)
    rows = replace(tilings, in_split=tilings.in_split // beside)
    return replace(site, tilings=rows), ceil_div(batch, beside)


def orders(site: Site, part: Part) -> tuple[NDArray[np.bool_], NDArray[np.bool_], Ints]:
    """Whether the memory allows each of the two loop orders, and in how many turns over its
    positions a PE goes. A weight's gradient lies where the weight does: it allows both."""
    sides = _tile(site, part.product).sides
    if part.kind is Kind.WEIGHT_GRADIENT:
        every = np.ones(len(site.tilings), np.bool_)
        return every, every, np.ones(len(site.tilings), np.int64)
    first, second = sides.holds_out, sides.holds_in
    if part.kind is Kind.INPUT_GRADIENT:
        first, second = second, first
    return first, second, sides.turns


def loaded_words(site: Site, product: Contraction) -> Ints:
    """Words of the weight that one product of a batch has sent to each row of PEs."""
    if not product.loaded:
        return np.zeros(len(site.tilings), np.int64)
    weights = product.weights
    features = ceil_div(weights.in_features, site.tilings.in_split)
    return words(site.target.noc, features * weights.out_features * weights.taps, product.itemsize)


def weight_triggered(site: Site, product: Contraction) -> Floats:
    """Cycles if every non-zero weight triggers a vector instruction over the positions."""
    return _weight_triggered(site, product, _tile(site, product))


def _weight_triggered(site: Site, product: Contraction, tile: _Tile) -> Floats:
    rate = site.target.arithmetic(product.dtype).sustained_macs_per_cycle
    positions = np.minimum(tile.in_positions, tile.out_positions)
    per_weight = site.target.sparsity.nonzero_cycles * tile.sides.turns + positions / rate
    features = (tile.in_features + tile.out_features) * tile.sides.turns
    return tile.nonzeros * per_weight + features * site.target.vector.trigger_cycles


def _value_triggered(
    site: Site, product: Contraction, tile: _Tile, nonzeros: Ints, rate: float
) -> Floats:
    """Cycles if every arriving value triggers an instruction over `nonzeros` of the tile."""
    positions = np.minimum(tile.in_positions, tile.out_positions)
    instructions = np.minimum(tile.in_features * product.weights.taps, nonzeros)
    features = tile.in_features + tile.out_features
    return positions * (
        instructions * site.target.sparsity.nonzero_cycles
        + nonzeros / rate
        + features * site.target.vector.trigger_cycles
    )


def _multiply_cycles(site: Site, product: Contraction, tile: _Tile) -> Floats:
    """Arithmetic of one product, by the fastest of the ways, in whole cycles."""
    rate = site.target.arithmetic(product.dtype).sustained_macs_per_cycle
    weights, sparsity = product.weights, site.target.sparsity
    every = weights.tile_size(site.tilings.in_split, site.tilings.out_split)
    cycles = np.minimum(
        _weight_triggered(site, product, tile),
        _value_triggered(site, product, tile, every, rate),
    )
    if weights.is_sparse and sparsity.zero_skip:
        indexed = min(rate, sparsity.indexed_macs_per_cycle)
        scattered = _value_triggered(site, product, tile, tile.nonzeros, indexed)
        cycles = np.minimum(cycles, scattered)
    unit = site.target.matrix
    if unit is not None and product.dtype in unit.dtypes:
        cycles = np.minimum(cycles, _block_by_block(unit, product, tile, rate))
    return np.ceil(cycles)


def _block_by_block(unit: Matrix, product: Contraction, tile: _Tile, rate: float) -> Floats:
    """Cycles on a matrix unit: dense blocks of the tile, padded to whole ones."""
    blocks = (
        ceil_div(tile.in_features, unit.in_features)
        * ceil_div(tile.out_features, unit.out_features)
        * ceil_div(np.minimum(tile.in_positions, tile.out_positions), unit.positions)
    )
    macs = unit.positions * unit.in_features * unit.out_features
    turns = (product.weights.taps * blocks).astype(np.float64)
    return turns * (unit.issue_cycles + macs / rate)


def _halo_cycles(site: Site, product: Contraction, tile: _Tile, features: Ints) -> Floats:
    """Exchange of a slice's border with the neighbouring slices, features at a time."""
    noc, size = site.target.noc, product.itemsize
    side = np.minimum(ceil_div(product.halo, 2), tile.halo)
    received, passing = (words(noc, features * of, size) for of in (tile.halo, side))
    slices = ceil_div(side, tile.in_positions)
    return border(noc, received, passing, slices, site.tilings.space_spacing)


def _down(site: Site, arriving: Ints) -> Floats:
    """Multicast of `arriving` words to the slices of the in features."""
    return broadcast(site.target.noc, arriving, site.tilings.in_split, site.tilings.in_spacing)


@dataclass(frozen=True)
class _Sums:
    """Cycles of a reduction: alone, behind the arithmetic that makes its words, and of one word."""

    alone: Floats
    behind: Floats
    one_word: Floats


def _reduced(site: Site, sums: Ints, pes: Ints, spacing: Ints | int) -> _Sums:
    """`sums` words over a line of PEs."""
    noc, one = site.target.noc, np.minimum(sums, 1)
    return _Sums(
        reduce(noc, sums, pes, spacing),
        reduce_behind(noc, sums, pes, spacing),
        reduce(noc, one, pes, spacing),
    )


def _over_slices(site: Site, sums: Ints) -> _Sums:
    """`sums` words over the slices of the positions and back."""
    lines = site.tilings.space_split, site.tilings.space_spacing
    noc, one = site.target.noc, np.minimum(sums, 1)
    return _Sums(
        all_reduce(noc, sums, *lines),
        all_reduce_behind(noc, sums, *lines),
        all_reduce(noc, one, *lines),
    )


def _cost(
    site: Site,
    product: Contraction,
    tile: _Tile,
    stream: Floats,
    sums: _Sums,
    orders: tuple[NDArray[np.bool_], NDArray[np.bool_]] | None = None,
) -> Cost:
    """Arithmetic, and the communication it does not hide in the better loop order.

    `orders` says for which tilings each of the two is possible. Without it the sums are a weight's
    gradient: they lie where the weight does and stay over all turns.
    """
    compute = _multiply_cycles(site, product, tile)
    operands_outermost = np.maximum(0.0, stream - compute) + sums.alone
    sums_outermost = stream + np.maximum(sums.behind, sums.alone - compute)
    if orders is None:
        network = np.minimum(operands_outermost, sums_outermost)
    else:
        first = np.where(orders[0], operands_outermost, np.inf)
        second = np.where(orders[1], sums_outermost, np.inf)
        network = np.minimum(first, second) + (tile.sides.turns - 1) * sums.one_word
    weights = product.weights
    return Cost(compute, network, product.macs(weights.dense), product.macs(weights.total))
