"""One product with a weight, PE by PE: what every PE does, and the routes of its words.

The same mapping as compiler/kernels/contraction.py: weights stay, operands arrive by multicast
along the rows (and columns), partial sums are reduced along the columns.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from ...compiler.targets.target import Target
from .kernels import MessageCost, add_multicast
from .line_sums import add_sum, group_size
from .region import FabricRegion, Instruction, Port
from .slices import Border, Copies, turns_of_lines

_MOST_COLUMN_ROUTES = 5


@dataclass(frozen=True)
class FabricProduct:
    """What every PE of `slices` blocks of height x width PEs, one above the other, does.

    First `loaded_words`, those of a factor that does not lie there, pass all PEs of a row, each
    taking its own. Then `row_words` come along its row and `column_words` down its column of the
    block; it multiplies for `multiply_cycles` in all and adds up `sum_words` with the PEs of its
    column of the block. Memory may rule out one of the loop orders, or make it go through its
    positions in several turns, each with sums of its own. Blocks of different slices exchange
    `border` before, or their sums after if `is_border_after`, and sum a weight's gradient over the
    slices with `copies` after. They may sum the `beside` of a product before, meanwhile.
    Columns are summed in `groups`, or as is fastest if 0.

    So many blocks as `column_spacing` says have their rows interleaved: the PEs of one's column lie
    so many hops apart, and as many columns share every link down. So it is with `row_spacing` and
    the columns of blocks that lie side by side; one of the two is 1.
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
    is_border_after: bool = False
    copies: Copies | None = None
    beside: Copies | None = None
    groups: int = 0
    row_spacing: int = 1
    column_spacing: int = 1

    @property
    def pes(self) -> int:
        return self.slices * self.height * self.width

    @property
    def arriving_words(self) -> int:
        """Words that each PE receives."""
        along_row = self.row_words if self.width > 1 else 0
        return along_row + (self.column_words if self.height > 1 else 0)


@dataclass(frozen=True)
class Lines:
    """Which of the rows, and of the columns, that share links have routes at the same time."""

    rows: range
    columns: range


def lines_in_turns(product: FabricProduct, size: int) -> Iterator[Lines]:
    """All lines, as many at a time as a router has routes for; `size` as of `sum_size`."""
    if product.row_spacing == 1:
        routes = _column_routes(product, size)
        for lines in turns_of_lines(product.column_spacing, routes, taken=1):
            yield Lines(range(0 if lines.start else 1), lines)
    else:
        for lines in turns_of_lines(product.row_spacing, 1, taken=_MOST_COLUMN_ROUTES):
            yield Lines(lines, range(0 if lines.start else 1))


def _column_routes(product: FabricProduct, size: int) -> int:
    """Those of a column's sums, and of its operands."""
    if product.height == 1:
        return 0
    return (2 if size == 1 else 4) * (product.sum_words > 0) + (product.column_words > 0)


def sum_size(product: FabricProduct, target: Target, sums_outermost: bool) -> int:
    """PEs of a group, if the sums of a column go in two phases; 1 if from PE to PE."""
    on_link = product.column_spacing * product.sum_words
    behind = sums_outermost and product.multiply_cycles > 0
    return group_size(target, product.height, on_link, behind, product.groups)


def region(
    product: FabricProduct, target: Target, sums_outermost: bool, size: int, lines: Lines
) -> FabricRegion:
    """Programs, and routes of `lines`. With the operands outermost, a PE multiplies with every word
    as it arrives and the reduction follows; with the sums outermost, it has all words before it
    multiplies, and sends every sum as it is complete."""
    routes = _column_routes(product, size)
    found = _empty(product, len(lines.rows) + len(lines.columns) * routes)
    start = round(target.noc.collective_start_cycles)
    paces = _paces(product, lines, sums_outermost)
    rows, columns, sums = (MessageCost(start, max(1, pace), streamed=True) for pace in paces)
    _multicasts(found, product, lines, routes, (rows, columns))
    meanwhile = np.dot(paces, (product.row_words, product.column_words, product.sum_words))
    _compute(found, product.multiply_cycles - int(meanwhile))
    if product.height > 1 and product.sum_words:
        _reduce(found, product, lines, routes, size, sums)
    return found


def _paces(product: FabricProduct, lines: Lines, sums_outermost: bool) -> tuple[int, int, int]:
    """Cycles that a PE multiplies for every word of its row, of its column, and of its sums.

    If both operands come, most of it is done with the second.
    """
    cycles, across, down = product.multiply_cycles, product.width > 1, product.height > 1
    if sums_outermost:
        return 0, 0, _pace(cycles, down * product.sum_words, len(lines.columns))
    if not down * product.column_words:
        return _pace(cycles, across * product.row_words, len(lines.rows)), 0, 0
    left = cycles - across * product.row_words
    return int(across), _pace(left, product.column_words, len(lines.columns)), 0


def _pace(cycles: int, words: int, lines: int) -> int:
    """Per word, so that `words` of them take about `cycles`; lines that share links take turns."""
    pace = max(0, cycles) // words if words else 0
    return max(pace, lines) if pace else min(words, 1)


def first_operands(product: FabricProduct, target: Target, lines: Lines) -> FabricRegion:
    """The first word of each operand to all PEs, alone."""
    one = replace(
        product, row_words=min(1, product.row_words), column_words=min(1, product.column_words)
    )
    found = _empty(product, len(lines.rows) + len(lines.columns))
    start = MessageCost(round(target.noc.collective_start_cycles))
    _multicasts(found, one, lines, 1, (start, start))
    return found


def _empty(product: FabricProduct, routes: int) -> FabricRegion:
    rows = product.slices // product.row_spacing * product.height
    return FabricRegion(rows, product.width * product.row_spacing, colours=max(1, routes))


def _multicasts(
    found: FabricRegion,
    product: FabricProduct,
    lines: Lines,
    routes: int,
    how: tuple[MessageCost, MessageCost],
) -> None:
    """From the first PE of every row, and of every column of a block, to all others of it; `how`
    for each of the two."""
    if product.width > 1 and product.row_words:
        for row in range(found.height):
            passed = [(row, column) for column in range(found.width)]
            for colour, line in enumerate(lines.rows):
                members = range(line, found.width, product.row_spacing)
                add_multicast(found, passed, members, product.row_words, colour, how[0])
    if product.height > 1 and product.column_words:
        for passed, members, number in _columns(found, product, lines):
            colour = len(lines.rows) + number * routes + routes - 1
            add_multicast(found, passed, members, product.column_words, colour, how[1])


def _reduce(
    found: FabricRegion,
    product: FabricProduct,
    lines: Lines,
    routes: int,
    size: int,
    how: MessageCost,
) -> None:
    """Up every column of a block. Of columns that share links and are ready at the same time, one
    starts when the words of that before have left."""
    for passed, members, number in _columns(found, product, lines):
        first = len(lines.rows) + number * routes
        colours = (first, first + 1, first + 2, first + 3)
        wait = number * product.sum_words if how.pace == 1 else 0
        turn = replace(how, setup=how.setup + wait)
        add_sum(found, passed, members, product.sum_words, size, colours, Port.NORTH, turn)


def _columns(
    found: FabricRegion, product: FabricProduct, lines: Lines
) -> Iterator[tuple[list[tuple[int, int]], range, int]]:
    """The columns of every block, from the top: the PEs they pass, which of those are their own,
    and their number among `lines`."""
    rows = product.height * product.column_spacing
    for column in range(found.width):
        for first in range(0, found.height, rows):
            passed = [(row, column) for row in range(first, first + rows)]
            for number, line in enumerate(lines.columns):
                yield passed, range(line, rows, product.column_spacing), number


def _compute(found: FabricRegion, cycles: int) -> None:
    for row, column in np.ndindex(found.height, found.width):
        if cycles > 0:
            found.program(row, column, Instruction.compute(cycles))
