"""Products whose weights stay: operands come by multicast, sums leave by a reduction.

A PE holds a tile of the weight, (out features / out_split) x (in features / in_split) x taps, and a
slice of the positions (pixels, tokens), positions / space_split. Partial sums of a forward product
are reduced over the in_split rows, those of an input gradient over the out_split columns, a
weight's gradient over the space_split copies.

The rows of PEs lie in one of two orders. Either a slice is a block of in_split rows, and slices lie
one after the other: what a PE exchanges with the same PE of the next slice goes in_split hops, on
links that its whole block uses alike. Or slices are interleaved, and the rows that hold the same
weights are neighbours: then what passes between slices of the in features goes space_split hops, on
links that as many slices of the positions share. The tiling says which; both are searched. A batch
of products keeps the order inside the rows that each of them has to itself.

The loops run in one of two orders, whichever is faster: operands outermost, then their arrival
overlaps the arithmetic and the reduction follows it; or sums outermost, then the arithmetic waits
for the operands and the reduction overlaps it as far as it can. The first order holds the sums of a
PE's positions, the second its operands. An order whose side takes more than a fixed part of the
memory is left out, unless its side is the smaller one; then the PE goes through its positions in
several turns: vectors are shorter, so that instructions start more often, and sums are closed once
per turn. Programs that are written out (`software.triggered` is false) overlap nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..targets.target import Target
from . import local_product
from .arrays import Floats, Ints, ceil_div
from .collectives import (
    all_reduce,
    all_reduce_behind,
    border,
    broadcast,
    reduce,
    reduce_behind,
    words,
)
from .cost import Cost
from .product import Kind, Tile


def cost(target: Target, tile: Tile) -> Cost:
    """Arithmetic, and the communication it does not hide in the better loop order."""
    compute = local_product.cycles(target, tile.arithmetic)
    stream, sums = _stream(target, tile), _sums(target, tile)
    if not target.software.triggered:
        return Cost(compute, stream + tile.turns * sums.alone)
    operands_outermost = np.maximum(0.0, stream - compute) + sums.alone
    sums_outermost = stream + np.maximum(sums.behind, sums.alone - compute)
    allowed = zip(tile.orders, (operands_outermost, sums_outermost), strict=True)
    first, second = (np.where(order, cycles, np.inf) for order, cycles in allowed)
    turned = (tile.turns - 1) * sums.one_word
    return Cost(compute, np.minimum(first, second) + turned)


def _stream(target: Target, tile: Tile) -> Floats:
    """Operands: inputs along a row of PEs, gradients down a column, and the borders of a slice."""
    noc, tilings, kind = target.noc, tile.tilings, tile.product.kind
    down = broadcast(noc, tile.out_words(noc), tilings.in_split, tilings.in_spacing)
    if kind is Kind.INPUT_GRADIENT:
        return down + _border(target, tile, tile.out_features)
    along = broadcast(noc, tile.in_words(noc), tilings.out_split)
    stream = along + _border(target, tile, tile.in_features)
    return stream + down if kind is Kind.WEIGHT_GRADIENT else stream


def _border(target: Target, tile: Tile, features: Ints) -> Floats:
    """Exchange of a slice's border with the neighbouring slices, features at a time."""
    product, noc = tile.product, target.noc
    halo = np.minimum(product.halo, product.in_positions - tile.in_positions)
    side = np.minimum(ceil_div(product.halo, 2), halo)
    received, passing = (words(noc, features * of, product.itemsize) for of in (halo, side))
    slices = ceil_div(side, tile.in_positions)
    return border(noc, received, passing, slices, tile.tilings.space_spacing)


@dataclass(frozen=True)
class _Sums:
    """Cycles of a reduction: alone, behind the arithmetic that makes its words, and of one word."""

    alone: Floats
    behind: Floats
    one_word: Floats


def _sums(target: Target, tile: Tile) -> _Sums:
    noc, tilings, groups = target.noc, tile.tilings, tile.tilings.groups
    if tile.product.kind is Kind.WEIGHT_GRADIENT:
        sums = tile.weight_words(noc)
        lines = tilings.space_split, tilings.space_spacing
        forms = all_reduce, all_reduce_behind
    elif tile.product.kind is Kind.FORWARD:
        sums, lines = tile.out_words(noc), (tilings.in_split, tilings.in_spacing)
        forms = reduce, reduce_behind
    else:
        sums, lines = tile.in_words(noc), (tilings.out_split, np.ones_like(groups))
        forms = reduce, reduce_behind
    alone, behind = forms
    one = np.minimum(sums, 1)
    return _Sums(
        alone(noc, sums, *lines, groups),
        behind(noc, sums, *lines),
        alone(noc, one, *lines, groups),
    )
