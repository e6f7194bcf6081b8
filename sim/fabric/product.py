"""One product with a weight, PE by PE: the level below the operator cycles of a plan.

The same mapping as compiler/kernels/contraction.py: weights stay, operands arrive by multicast
along the rows (and columns), partial sums are reduced along the columns. The loops run in either
order; the faster counts.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from ...compiler.targets.target import Target
from .kernels import Message, add_multicast
from .region import Instruction, Port, Region
from .run import run
from .slices import Border, Copies, border_cycles, copies_cycles
from .sums import add_sum, chain_is_faster

_ALONG_ROW, _SUMS, _ALONG_COLUMN = 0, (1, 2, 3, 4), 5


@dataclass(frozen=True)
class Product:
    """What every PE of `slices` blocks of height x width PEs, one above the other, does.

    First `loaded_words`, those of a factor that does not lie there, pass all PEs of a row, each
    taking its own. Then `row_words` come along its row and `column_words` down its column of the
    block; it multiplies for `multiply_cycles` in all and adds up `sum_words` with the PEs of its
    column of the block. Memory may rule out one of the loop orders, or make it go through its
    positions in several turns, each with sums of its own. Blocks of different slices exchange
    `border` before, and sum a weight's gradient over the slices with `copies` after.
    """

    slices: int
    height: int
    width: int
    loaded_words: int
    row_words: int
    column_words: int
    multiply_cycles: int
    sum_words: int
    operands_outermost: bool = True
    sums_outermost: bool = True
    turns: int = 1
    border: Border | None = None
    copies: Copies | None = None

    @property
    def pes(self) -> int:
        return self.slices * self.height * self.width

    @property
    def arriving_words(self) -> int:
        """Words that each PE receives."""
        along_row = self.row_words if self.width > 1 else 0
        return along_row + (self.column_words if self.height > 1 else 0)


def product_cycles(product: Product, target: Target) -> int:
    """Cycles of a product, every PE stepped.

    As at the event level an operator that works on its operands as they come begins when the first
    are there: what their first word takes to every core, and starting to receive, belong to what
    brings them. If its arithmetic waits for all of them, their whole way counts, and so it does if
    communication alone takes longer than arithmetic.

    Raises UserError for a target whose latencies the fabric level cannot step.
    """
    alone = replace(product, multiply_cycles=0)
    ahead = _first_operands(product, target)
    started = _in_better_order(product, target, ahead)
    turned = (product.turns - 1) * _one_sum(product, target)
    return _loading(product, target) + max(started, _in_better_order(alone, target, 0)) + turned


def _in_better_order(product: Product, target: Target, ahead_cycles: int) -> int:
    """The faster of the orders that memory allows."""
    found = []
    if product.operands_outermost:
        found.append(_operands_outermost(product, target) - ahead_cycles)
    if product.sums_outermost:
        found.append(_sums_outermost(product, target))
    return min(found)


def _one_sum(product: Product, target: Target) -> int:
    """One word over the columns: what each turn after the first adds."""
    if product.turns == 1 or product.height == 1:
        return 0
    one = replace(product, row_words=0, column_words=0, multiply_cycles=0, sum_words=1)
    return run(region(one, target, sums_outermost=True), target).cycles


def _loading(product: Product, target: Target) -> int:
    """Of one row: from beside it, by multicast; each PE keeps what is its own."""
    if not product.loaded_words:
        return 0
    line = [(0, column) for column in range(product.width + 1)]
    found = Region(1, len(line), colours=1)
    start = Message(round(target.noc.collective_start_cycles))
    add_multicast(found, line, range(len(line)), product.loaded_words, 0, start)
    return run(found, target).cycles


def _operands_outermost(product: Product, target: Target) -> int:
    """Arithmetic hides the exchange of borders."""
    hiding = max(0, product.multiply_cycles - product.arriving_words)
    cycles = run(region(product, target, sums_outermost=False), target).cycles
    exchange = max(0, _border(product, target) - hiding)
    return cycles + exchange + (copies_cycles(product.copies, target) if product.copies else 0)


def _sums_outermost(product: Product, target: Target) -> int:
    """The sum over slices is that of one column, whose arithmetic begins when its operands are
    there; it sends every sum as it is complete."""
    exchange = _border(product, target)
    if product.copies is None:
        return exchange + run(region(product, target, sums_outermost=True), target).cycles
    copies = copies_cycles(product.copies, target, product.multiply_cycles)
    waiting = region(replace(product, multiply_cycles=0), target, sums_outermost=True)
    return exchange + run(waiting, target).cycles + copies


def _border(product: Product, target: Target) -> int:
    return border_cycles(product.border, target) if product.border else 0


def region(product: Product, target: Target, sums_outermost: bool) -> Region:
    """Programs and routes. With the operands outermost, a PE multiplies with every word as it
    arrives and the reduction follows; with the sums outermost, it has all words before it
    multiplies, and sends every sum as it is complete."""
    found = Region(product.slices * product.height, product.width, colours=6)
    start = round(target.noc.collective_start_cycles)
    sums = product.sum_words if product.height > 1 else 0
    overlapped = sums if sums_outermost else product.arriving_words
    pace = max(1, product.multiply_cycles // overlapped) if overlapped else 1
    _multicasts(found, product, Message(start, 1 if sums_outermost else pace))
    _compute(found, product.multiply_cycles - pace * overlapped)
    if sums:
        how = Message(start, pace if sums_outermost else 1)
        _reduce(found, product, target, how, sums_outermost)
    return found


def _first_operands(product: Product, target: Target) -> int:
    one = replace(
        product, row_words=min(1, product.row_words), column_words=min(1, product.column_words)
    )
    found = Region(product.slices * product.height, product.width, colours=6)
    _multicasts(found, one, Message(round(target.noc.collective_start_cycles)))
    return run(found, target).cycles


def _multicasts(found: Region, product: Product, how: Message) -> None:
    """From the first PE of every row, and of every column of a block, to all others of it."""
    if product.width > 1 and product.row_words:
        for row in range(found.height):
            line = [(row, column) for column in range(found.width)]
            add_multicast(found, line, range(len(line)), product.row_words, _ALONG_ROW, how)
    if product.height > 1 and product.column_words:
        for line in _columns(product):
            add_multicast(found, line, range(len(line)), product.column_words, _ALONG_COLUMN, how)


def _reduce(
    found: Region, product: Product, target: Target, how: Message, behind_arithmetic: bool
) -> None:
    """Up every column of a block."""
    pes, words = product.height, product.sum_words
    in_chain = chain_is_faster(target, pes, words, behind_arithmetic)
    for line in _columns(product):
        add_sum(found, line, range(pes), words, in_chain, _SUMS, Port.NORTH, how)


def _columns(product: Product) -> Iterator[list[tuple[int, int]]]:
    """The columns of every block, from the top."""
    for column in range(product.width):
        for first in range(0, product.slices * product.height, product.height):
            yield [(row, column) for row in range(first, first + product.height)]


def _compute(found: Region, cycles: int) -> None:
    for row, column in np.ndindex(found.height, found.width):
        if cycles > 0:
            found.program(row, column, Instruction.compute(cycles))
