"""Cycles of one product: the level below the operator cycles of a plan.

The loops run in either order; the faster counts.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ...compiler.machine.collectives import adding_cycles
from ...compiler.targets.target import Target
from .kernels import MessageCost, add_multicast
from .product import FabricProduct, first_operands, lines_in_turns, region, sum_size
from .region import FabricRegion
from .run import run
from .slices import Copies, border_cycles, copies_cycles


def product_cycles(product: FabricProduct, target: Target) -> int:
    """Cycles of a product, every PE stepped.

    As at the event level an operator that works on its operands as they come begins when the first
    are there: what their first word takes to every core, and starting to receive, belong to what
    brings them. If its arithmetic waits for all of them, their whole way counts, and so it does if
    communication alone takes longer than arithmetic.

    A sum beside it takes the links of its operands a while, and its PEs' instructions.

    Raises UserError for a target whose latencies the fabric level cannot step.
    """
    if product.beside is not None:
        return _beside(product, product.beside, target)
    alone = replace(product, multiply_cycles=0)
    size = sum_size(product, target, sums_outermost=False)
    lines = next(lines_in_turns(product, size))
    ahead = run(first_operands(product, target, lines), target).cycles
    started = _in_better_order(product, target, ahead)
    turned = (product.turns - 1) * _one_sum(product, target)
    return _loading(product, target) + max(started, _in_better_order(alone, target, 0)) + turned


def _beside(product: FabricProduct, copies: Copies, target: Target) -> int:
    passing = -(-copies.spacing * copies.words // product.row_spacing)
    delayed = replace(product, row_words=product.row_words + passing, beside=None)
    adding = int(adding_cycles(target.noc, np.array(copies.words)))
    return product_cycles(delayed, target) + adding


def _in_better_order(product: FabricProduct, target: Target, ahead_cycles: int) -> int:
    """The faster of the orders that memory allows."""
    found = []
    if product.operands_outermost:
        found.append(_operands_outermost(product, target) - ahead_cycles)
    if product.sums_outermost:
        found.append(_sums_outermost(product, target))
    return min(found)


def _one_sum(product: FabricProduct, target: Target) -> int:
    """One word over the columns: what each turn after the first adds."""
    if product.turns == 1 or product.height == 1:
        return 0
    one = replace(product, row_words=0, column_words=0, multiply_cycles=0, sum_words=1)
    return _stepped(one, target, sums_outermost=True)


def _loading(product: FabricProduct, target: Target) -> int:
    """Of one row: from beside it, by multicast; each PE keeps what is its own."""
    if not product.loaded_words:
        return 0
    line = [(0, column) for column in range(product.width + 1)]
    found = FabricRegion(1, len(line), colours=1)
    start = MessageCost(round(target.noc.collective_start_cycles), streamed=True)
    add_multicast(found, line, range(len(line)), product.loaded_words, 0, start)
    return run(found, target).cycles


def _operands_outermost(product: FabricProduct, target: Target) -> int:
    """Arithmetic hides the exchange of borders, but not of sums that it made."""
    hiding = max(0, product.multiply_cycles - product.arriving_words)
    hiding = 0 if product.is_border_after else hiding
    cycles = _stepped(product, target, sums_outermost=False)
    exchange = max(0, _border(product, target) - hiding)
    return cycles + exchange + (copies_cycles(product.copies, target) if product.copies else 0)


def _sums_outermost(product: FabricProduct, target: Target) -> int:
    """The sum over slices is that of one column, whose arithmetic begins when its operands are
    there; it sends every sum as it is complete."""
    exchange = _border(product, target)
    if product.copies is None:
        return exchange + _stepped(product, target, sums_outermost=True)
    copies = copies_cycles(product.copies, target, product.multiply_cycles)
    waiting = replace(product, multiply_cycles=0)
    return exchange + _stepped(waiting, target, sums_outermost=True) + copies


def _border(product: FabricProduct, target: Target) -> int:
    return border_cycles(product.border, target) if product.border else 0


def _stepped(product: FabricProduct, target: Target, sums_outermost: bool) -> int:
    """Lines that a router has no routes for come after the others, with nothing to hide behind."""
    size = sum_size(product, target, sums_outermost)
    first, *others = lines_in_turns(product, size)
    regions = [region(product, target, sums_outermost, size, first)]
    later = replace(product, multiply_cycles=0)
    regions += [region(later, target, sums_outermost, size, lines) for lines in others]
    return sum(run(one, target).cycles for one in regions)
