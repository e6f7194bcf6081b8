"""A frozen weight W with low-rank factors beside it, as one product: y = W x + B (A x).

The rows of A are dealt out over the columns of PEs beside those of W, the columns of B over the
rows of PEs: a product of r more inputs and r more outputs. A PE keeps one side of it, as of W's
alone. Each value that arrives is first multiplied with A's rows; u = A x is summed and sent along
the rows of PEs while W's rows are multiplied, and B u is added to the partial sums of y before
these are summed. The loops run in one of two orders (see multicast.py). With the operands
outermost, A x is made first, and the operand comes twice; or beside W x, and u follows both. With
the sums outermost, A x comes first; the first sums of W x wait for u on their PE, as many as it
holds beside its operands, and go on their way with B u in them.

The input gradient is the same in the other direction: du = B^T g first, and A^T du is added to the
partial sums of W^T g. For the gradients of A and B the positions are dealt out: of the many rows of
PEs only r hold a row of A, so that each of these has neighbours that take a share of the positions
and hand on what they have summed. g and du have come by then; x and u come, against the sums of
the input gradient, while that is multiplied.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ..targets.target import Target
from . import local_product
from .arrays import Bools, Floats, Ints, ceil_div
from .collectives import adding_cycles, all_reduce, broadcast, reduce, reduce_behind
from .cost import Cost
from .product import ProductKind, Tile

WAITING = 3
"""Vectors of the sums that a PE may hold until the factors' part of them has come."""


@dataclass(frozen=True)
class Joint:
    """Tiles of W's product with r more inputs and outputs, and of A's (`down`) and B's (`up`)
    alone."""

    whole: Tile
    down: Tile
    up: Tile

    @property
    def is_possible(self) -> Bools:
        """Where all positions are done in one turn."""
        return self.whole.turns == 1


@dataclass(frozen=True)
class _Messages:
    """Cycles, alone, of the operands; of the one that the factors need first; of what lies between
    the factors, with the words that are summed there; of the sums, alone and behind arithmetic that
    makes their words, with the vectors that they come in; and of what factors' gradients need."""

    operands: Floats
    first: Floats
    between: Floats
    between_words: Ints
    sums: Floats
    sums_behind: Floats
    vectors: Ints
    inputs: Floats


def cost(target: Target, joint: Joint) -> Cost:
    """Of the forward, or of the input gradient, by the kind of the whole product."""
    compute = local_product.cycles(target, joint.whole.arithmetic)
    is_forward = joint.whole.product.kind is ProductKind.FORWARD
    sent = _forward(target, joint) if is_forward else _input_gradient(target, joint)
    factors_first = sent.first + np.maximum(0.0, sent.operands + sent.between - compute)
    factors_beside = np.maximum(0.0, sent.operands - compute) + sent.between
    operands_outermost = np.minimum(factors_first, factors_beside) + sent.sums
    held = compute * np.minimum(1.0, WAITING / sent.vectors)
    late, meanwhile = np.maximum(0.0, sent.between - held), np.minimum(sent.between, held)
    sums_outermost = sent.operands + late
    sums_outermost = sums_outermost + np.maximum(sent.sums_behind, meanwhile + sent.sums - compute)
    allowed = zip(joint.whole.orders, (operands_outermost, sums_outermost), strict=True)
    network = np.minimum(*(np.where(order, cycles, np.inf) for order, cycles in allowed))
    network = network + np.maximum(0.0, sent.inputs + sent.sums - compute) * (sent.inputs > 0)
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
        sums_behind=reduce_behind(noc, sums, *down, tilings.groups),
        vectors=joint.whole.out_features,
        inputs=np.zeros(len(tilings)),
    )


def _input_gradient(target: Target, joint: Joint) -> _Messages:
    """With x and u, which the gradients of the factors need beside g and du."""
    noc, tilings = target.noc, joint.whole.tilings
    down, across = (tilings.in_split, tilings.in_spacing), tilings.out_split
    words, sums = joint.up.in_words(noc), joint.whole.in_words(noc)
    ones = np.ones_like(tilings.groups)
    return _Messages(
        operands=broadcast(noc, joint.whole.out_words(noc), *down),
        first=broadcast(noc, joint.up.out_words(noc), *down),
        between=reduce(noc, words, across, ones, tilings.groups)
        + broadcast(noc, joint.down.out_words(noc), *down),
        between_words=words,
        sums=reduce(noc, sums, across, ones, tilings.groups),
        sums_behind=reduce_behind(noc, sums, across, ones, tilings.groups),
        vectors=joint.whole.in_features,
        inputs=broadcast(noc, joint.down.in_words(noc) + words, across),
    )


@dataclass(frozen=True)
class Lines:
    """Lines of PEs along which a factor has one row, or column, for each rank: so many, `spacing`
    hops from one to the next."""

    pes: Ints
    spacing: Ints


def gradient_cost(target: Target, tile: Tile, rank: int, lines: Lines) -> Cost:
    """Of the gradient of a factor, whose operands are there: the PEs between those that hold the
    factor have a share of the positions each. Summed over them, then over slices."""
    noc, tilings = target.noc, tile.tilings
    sharers = np.clip(lines.pes // rank, 1, np.maximum(tile.in_positions, 1))
    positions = ceil_div(tile.in_positions, sharers)
    compute = local_product.cycles(target, replace(tile.arithmetic, positions=positions))
    sums = tile.weight_words(noc)
    network = reduce(noc, sums, sharers, lines.spacing, tilings.groups)
    slices = tilings.space_split, tilings.space_spacing, tilings.groups
    return Cost(compute, network + all_reduce(noc, sums, *slices))
