"""A frozen weight W with low-rank factors beside it, as one product: y = W x + B (A x).

The rows of A are dealt out over the columns of PEs beside those of W, the columns of B over the
rows of PEs: a product of r more inputs and r more outputs. x is sent once, and kept. Each value
that arrives is first multiplied with A's rows; u = A x is summed and sent along the rows of PEs
while W's rows are multiplied, and B u is added to the partial sums of y before these are summed.
The loops run in one of two orders (see multicast.py). With the operands outermost, a PE keeps both
sides of W's product; where they take more of its memory than one side may, the operand comes twice,
once for the factors. With the sums outermost, u is there before the first of them.

The input gradient is the same in the other direction: du = B^T g first, and A^T du is added to the
partial sums of W^T g. The gradients of A and B are products of their own: u, g and du have come by
then, so that only x is sent again, for A's.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..targets.target import Target
from . import local_product
from .arrays import Bools, Floats, Ints
from .collectives import adding_cycles, all_reduce, broadcast, reduce, reduce_behind
from .cost import Cost
from .product import ProductKind, Tile, side_bytes


@dataclass(frozen=True)
class Joint:
    """Tiles of W's product with r more inputs and outputs, and of A's (`down`) and B's (`up`)
    alone; `keeps_both` sides where memory allows it."""

    whole: Tile
    down: Tile
    up: Tile
    keeps_both: Bools

    @property
    def is_possible(self) -> Bools:
        """Where all positions are done in one turn."""
        return self.whole.turns == 1


@dataclass(frozen=True)
class _Messages:
    """Cycles, alone, of the operands; of the one that the factors need first; of what lies between
    the factors, with the words that are summed there; and of the sums, alone and behind arithmetic
    that makes their words."""

    operands: Floats
    first: Floats
    between: Floats
    between_words: Ints
    sums: Floats
    sums_behind: Floats


def keeps_both(target: Target, into: Ints, out: Ints) -> Bools:
    """Whether both sides of a product, of so many bytes, take no more than one may."""
    return into + out <= side_bytes(target)


def cost(target: Target, joint: Joint) -> Cost:
    """Of the forward, or of the input gradient, by the kind of the whole product."""
    compute = local_product.cycles(target, joint.whole.arithmetic)
    is_forward = joint.whole.product.kind is ProductKind.FORWARD
    sent = _forward(target, joint) if is_forward else _input_gradient(target, joint)
    again = np.where(joint.keeps_both, 0.0, sent.first)
    waits = np.maximum(0.0, sent.operands + sent.between - compute)
    operands_outermost = again + waits + sent.sums
    sums_outermost = sent.operands + sent.between
    sums_outermost = sums_outermost + np.maximum(sent.sums_behind, sent.sums - compute)
    allowed = zip(joint.whole.orders, (operands_outermost, sums_outermost), strict=True)
    network = np.minimum(*(np.where(order, cycles, np.inf) for order, cycles in allowed))
    return Cost(compute, network + adding_cycles(target.noc, sent.between_words))


def _forward(target: Target, joint: Joint) -> _Messages:
    noc, tilings = target.noc, joint.whole.tilings
    down, across = (tilings.in_split, tilings.in_spacing), tilings.out_split
    words, sums = joint.down.out_words(noc), joint.whole.out_words(noc)
    return _Messages(
        operands=broadcast(noc, joint.whole.in_words(noc), across),
        first=broadcast(noc, joint.down.in_words(noc), across),
        between=reduce(noc, words, *down, tilings.groups)
        + broadcast(noc, joint.up.in_words(noc), across),
        between_words=words,
        sums=reduce(noc, sums, *down, tilings.groups),
        sums_behind=reduce_behind(noc, sums, *down),
    )


def _input_gradient(target: Target, joint: Joint) -> _Messages:
    """With u, which the gradient of B needs beside g."""
    noc, tilings = target.noc, joint.whole.tilings
    down, across = (tilings.in_split, tilings.in_spacing), tilings.out_split
    words, sums = joint.up.in_words(noc), joint.whole.in_words(noc)
    ones = np.ones_like(tilings.groups)
    return _Messages(
        operands=broadcast(noc, joint.whole.out_words(noc), *down) + broadcast(noc, words, across),
        first=broadcast(noc, joint.up.out_words(noc), *down),
        between=reduce(noc, words, across, ones, tilings.groups)
        + broadcast(noc, joint.down.out_words(noc), *down),
        between_words=words,
        sums=reduce(noc, sums, across, ones, tilings.groups),
        sums_behind=reduce_behind(noc, sums, across, ones),
    )


def gradient_cost(target: Target, tile: Tile, inputs_come: bool) -> Cost:
    """Of the gradient of a factor, summed over the slices of the positions; its inputs come along
    the rows, or all its operands are there."""
    noc, tilings = target.noc, tile.tilings
    compute = local_product.cycles(target, tile.arithmetic)
    lines = tilings.space_split, tilings.space_spacing, tilings.groups
    network = all_reduce(noc, tile.weight_words(noc), *lines)
    if inputs_come:
        along = broadcast(noc, tile.in_words(noc), tilings.out_split)
        network = network + np.maximum(0.0, along - compute)
    return Cost(compute, network)
