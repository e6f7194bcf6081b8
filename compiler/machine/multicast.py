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

An input position reaches outputs of the slices beside its own (`Product.halo`). The sums of a
column of PEs end in its first PE, and there the gradients of the outputs enter it; so the first PEs
of columns exchange borders, on links of their own: sums after a forward product, gradients before
the others.

The sum of a weight's gradient over the slices may run while the input gradient is computed.

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
    adding_cycles,
    all_reduce,
    all_reduce_behind,
    all_reduce_middle,
    border,
    broadcast,
    reduce,
    reduce_behind,
)
from .cost import Cost
from .product import ProductKind, Tile


def cost(target: Target, tile: Tile) -> Cost:
    """Arithmetic, and the communication it does not hide in the better loop order."""
    compute = local_product.cycles(target, tile.arithmetic)
    stream, after = _stream(target, tile), np.zeros(len(tile.tilings))
    if tile.product.kind is ProductKind.FORWARD:
        after = _border(target, tile)
    else:
        stream = stream + _border(target, tile)
    return Cost(compute, _unhidden(target, tile, compute, stream) + after, border=after)


@dataclass(frozen=True)
class GradientSums:
    """A weight's gradient and the input gradient that follows it: communication that arithmetic
    does not hide, cycles of the sum of the first over the slices, and those that the second takes
    from where that sum begins."""

    network: Floats
    sums: Floats
    second: Floats


def gradients(target: Target, weight: Tile, inputs: Tile) -> GradientSums:
    """Both products on a target that overlaps the sum of the first with the second.

    The PEs of a line add the sums between their own instructions, and links that carry sums carry
    fewer operands. The borders of the gradient of the outputs are exchanged once.
    """
    noc, tilings = target.noc, weight.tilings
    arithmetic = [local_product.cycles(target, tile.arithmetic) for tile in (weight, inputs)]
    stream = _stream(target, weight) + _border(target, weight)
    sums, slices = weight.weight_words(noc), (tilings.space_split, tilings.space_spacing)
    passing = ceil_div(tilings.space_spacing * sums, tilings.in_spacing)
    own = _unhidden(target, inputs, arithmetic[1], _down(target, inputs, passing))
    second = own + adding_cycles(noc, sums)
    network = np.maximum(0.0, stream - arithmetic[0]) + second
    return GradientSums(network, all_reduce_middle(noc, sums, *slices), arithmetic[1] + second)


def _unhidden(target: Target, tile: Tile, compute: Floats, stream: Floats) -> Floats:
    """Operands and sums around the arithmetic, in the better of the orders that memory allows."""
    sums = _sums(target, tile)
    if not target.software.triggered:
        return stream + tile.turns * sums.alone
    operands_outermost = np.maximum(0.0, stream - compute) + sums.alone
    sums_outermost = stream + np.maximum(sums.behind, sums.alone - compute)
    allowed = zip(tile.orders, (operands_outermost, sums_outermost), strict=True)
    first, second = (np.where(order, cycles, np.inf) for order, cycles in allowed)
    return np.minimum(first, second) + (tile.turns - 1) * sums.one_word


def _stream(target: Target, tile: Tile) -> Floats:
    """Operands: inputs along a row of PEs, gradients down a column."""
    noc, kind = target.noc, tile.product.kind
    along = broadcast(noc, tile.in_words(noc), tile.tilings.out_split)
    if kind is ProductKind.FORWARD:
        return along
    down = _down(target, tile, 0)
    return down if kind is ProductKind.INPUT_GRADIENT else along + down


def _down(target: Target, tile: Tile, passing: Ints | int) -> Floats:
    """Gradients of the outputs down a column of PEs, whose links carry `passing` more words."""
    noc, tilings = target.noc, tile.tilings
    words = tile.out_words(noc) + passing
    return broadcast(noc, words, tilings.in_split, tilings.in_spacing)


def _border(target: Target, tile: Tile) -> Floats:
    """What the first PEs of a slice's columns exchange with those of the slices beside it."""
    slices = ceil_div(ceil_div(tile.border, 2), tile.out_positions)
    return border(target.noc, tile.border_words(target.noc), slices, tile.tilings.space_spacing)


@dataclass(frozen=True)
class _Sums:
    """Cycles of a reduction: alone, behind the arithmetic that makes its words, and of one word."""

    alone: Floats
    behind: Floats
    one_word: Floats


def _sums(target: Target, tile: Tile) -> _Sums:
    noc, tilings, groups = target.noc, tile.tilings, tile.tilings.groups
    if tile.product.kind is ProductKind.WEIGHT_GRADIENT:
        sums = tile.weight_words(noc)
        lines = tilings.space_split, tilings.space_spacing
        forms = all_reduce, all_reduce_behind
    elif tile.product.kind is ProductKind.FORWARD:
        sums, lines = tile.out_words(noc), (tilings.in_split, tilings.in_spacing)
        forms = reduce, reduce_behind
    else:
        sums, lines = tile.in_words(noc), (tilings.out_split, np.ones_like(groups))
        forms = reduce, reduce_behind
    alone, behind = forms
    one = np.minimum(sums, 1)
    return _Sums(
        alone(noc, sums, *lines, groups),
        behind(noc, sums, *lines, groups),
        alone(noc, one, *lines, groups),
    )
