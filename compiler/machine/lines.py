"""Products with vectors that every line of PEs holds alike.

Row r of PEs holds slice r of the inputs, column c slice c of the outputs, in all their PEs. The
partial sums of a column's outputs are summed over its rows and sent back to all of them, those of
an input gradient likewise along the rows. A weight's gradient needs no one else. Where another
product follows, its inputs are these outputs: then its sums run along the rows, and so on in turn,
and every PE re-programs the routes of the sums' colours in between, where that takes time. All are
priced as sums down the columns: a stage with several products has as many rows as columns.

A program that is written out (`software.triggered` is false) keeps its vectors in place from one
product to the next. A stage of a pipeline takes them from another one, and spreads them first.
"""

from __future__ import annotations

import numpy as np

from ..targets.target import Target
from . import local_product
from .arrays import Floats
from .collectives import all_reduce, broadcast
from .cost import Cost
from .product import ProductKind, Tile

_COLOURS = 5
"""That serve both axes in turn, as in the published program."""


def cost(target: Target, tile: Tile) -> Cost:
    """Operands to all lines, arithmetic, then the sum over a line and back; nothing overlaps."""
    compute = local_product.cycles(target, tile.arithmetic)
    turning = _COLOURS * (target.software.route_cycles or 0.0) * tile.product.is_followed
    return Cost(compute, _spread(target, tile) + _sums(target, tile) + turning)


def _spread(target: Target, tile: Tile) -> Floats:
    """Inputs along the rows, gradients down the columns."""
    noc, tilings = target.noc, tile.tilings
    if not target.software.triggered:
        return np.zeros(len(tilings))
    if tile.product.kind is ProductKind.FORWARD:
        return broadcast(noc, tile.in_words(noc), tilings.out_split)
    return broadcast(noc, tile.out_words(noc), tilings.in_split)


def _sums(target: Target, tile: Tile) -> Floats:
    noc, tilings = target.noc, tile.tilings
    one = np.ones_like(tilings.groups)
    if tile.product.kind is ProductKind.WEIGHT_GRADIENT:
        return np.zeros(len(tilings))
    if tile.product.kind is ProductKind.FORWARD:
        return all_reduce(noc, tile.out_words(noc), tilings.in_split, one, tilings.groups)
    return all_reduce(noc, tile.in_words(noc), tilings.out_split, one, tilings.groups)
