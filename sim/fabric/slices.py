"""What slices of the positions tell each other, stepped on one column of PEs; all columns do alike.

A slice is a block of `spacing` rows of PEs, and slices lie one after the other, so the PEs that
hold the same weights are `spacing` hops apart and as many lines share every link; of interleaved
slices they are neighbours, with a `spacing` of one. Each line has routes of its own, as many lines
at a time as a router has room for. Only the first PEs of slices exchange borders.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, repeat
from operator import itemgetter

import numpy as np

from ...compiler.machine.collectives import all_reduce, all_reduce_middle
from ...compiler.targets.target import Target
from .kernels import MessageCost, Places, add_chain, add_multicast, add_spread
from .line_sums import ROUTES, add_all_reduce, add_sum, group_size
from .region import MAX_ROUTES, OPPOSITE, FabricRegion, Instruction, Port
from .run import run

_BORDER_ROUTES, _CHAIN_ROUTES, _TWO_PHASE_ROUTES, _MIDDLE_ROUTES = 4, 3, 5, 3


@dataclass(frozen=True)
class Border:
    """Every PE needs `side_words` of the slices before its own and as many of those after it; a
    slice holds `own_words` of them, so they may be those of several slices."""

    slices: int
    spacing: int
    own_words: int
    side_words: int


@dataclass(frozen=True)
class Copies:
    """All PEs that hold the same weights sum `words` of gradients and get the sums back, in
    `groups` or as is fastest if 0."""

    slices: int
    spacing: int
    words: int
    groups: int = 0


def border_cycles(border: Border, target: Target) -> int:
    """Cycles until every PE has its borders, every PE of a column stepped."""
    if border.slices == 1 or border.side_words == 0:
        return 0
    return _cycles(border_region(border, target), target)


def copies_cycles(copies: Copies, target: Target, multiply_cycles: int = 0) -> int:
    """Cycles of the sum over the slices and back, every PE of a column stepped; with
    `multiply_cycles` of arithmetic that makes the words, one after the other, on all lines while
    the first of them are summed."""
    if copies.slices == 1:
        return multiply_cycles
    if copies.spacing == 1 and multiply_cycles == 0:
        return _cycles(_neighbours_region(copies, target), target)
    if copies.spacing > 1 and multiply_cycles == 0 and _middle_is_faster(copies, target):
        return middle_cycles(copies, target)
    on_link = copies.spacing * copies.words
    size = group_size(target, copies.slices, on_link, multiply_cycles > 0, copies.groups)
    turns = turns_of_lines(copies.spacing, _CHAIN_ROUTES if size == 1 else _TWO_PHASE_ROUTES)
    arithmetic = chain([multiply_cycles], repeat(0))
    return sum(
        _cycles(copies_region(copies, lines, size, target, multiply), target)
        for lines, multiply in zip(turns, arithmetic, strict=False)
    )


def _middle_is_faster(copies: Copies, target: Target) -> bool:
    if copies.groups == 1:
        return False
    sizes = (np.array(size) for size in (copies.words, copies.slices, copies.spacing))
    words, slices, spacing = sizes
    middle = all_reduce_middle(target.noc, words, slices, spacing)
    return bool(middle <= all_reduce(target.noc, words, slices, spacing, copies.groups))


def middle_cycles(copies: Copies, target: Target) -> int:
    """Cycles of the sum in the middle slice and back both ways, every PE of a column stepped."""
    if copies.slices == 1 or copies.words == 0:
        return 0
    return sum(
        _cycles(middle_region(copies, lines, target), target)
        for lines in turns_of_lines(copies.spacing, _MIDDLE_ROUTES)
    )


def middle_region(copies: Copies, lines: range, target: Target) -> FabricRegion:
    """Programs and routes of `lines`: each has two chains, on the same pair of colours, that meet
    in its middle PE.

    Either way along the column lines take turns, the foremost first, so words that pass a slice
    never meet those of a line that has yet to hand on there; and sums that go back meet none that
    come. A middle PE adds first what comes first.
    """
    rows = copies.slices * copies.spacing
    found = FabricRegion(rows, 1, len(lines) * _MIDDLE_ROUTES)
    column = [(row, 0) for row in range(rows)]
    start, issue = round(target.noc.collective_start_cycles), round(target.noc.issue_cycles)
    later, apart = MessageCost(issue), _apart(copies, target)
    for number, line in enumerate(lines):
        members = range(line, rows, copies.spacing)
        one, other, back = (number * _MIDDLE_ROUTES + route for route in range(_MIDDLE_ROUTES))
        middle, last = len(members) // 2, len(lines) - 1
        chains = [
            (number, members[middle:], (one, other), Port.NORTH),
            (last - number, members[middle::-1], (other, one), Port.SOUTH),
        ]
        used = sorted((way for way in chains if len(way[1]) > 1), key=itemgetter(0))
        for step, (turn, part, pair, towards) in enumerate(used):
            how = MessageCost(start + turn * apart)
            own = later if step else how
            add_chain(found, column, part, copies.words, pair, towards, how, own)
        add_spread(found, column, members, copies.words, back, later)
    return found


def _apart(copies: Copies, target: Target) -> int:
    """Cycles from one line's turn to the next: its words. Of two slices what goes back would meet
    the next line's words, a hop away, unless a hop has more cycles than those take."""
    hop = round(target.noc.hop_cycles)
    return copies.words + (hop if copies.slices == 2 and copies.words >= hop else 0)


def _neighbours_region(copies: Copies, target: Target) -> FabricRegion:
    """One line of neighbours; the others do alike."""
    found = FabricRegion(copies.slices, 1, ROUTES)
    column = [(row, 0) for row in range(copies.slices)]
    start = MessageCost(round(target.noc.collective_start_cycles))
    routes, groups = range(ROUTES), copies.groups
    add_all_reduce(found, column, copies.words, routes, Port.NORTH, start, target, groups=groups)
    return found


def turns_of_lines(lines: int, routes: int, taken: int = 0) -> Iterator[range]:
    """The lines in groups that a router has routes for, beside those that are `taken`."""
    most = (MAX_ROUTES - taken) // max(1, routes)
    return (range(first, min(first + most, lines)) for first in range(0, lines, most))


def copies_region(
    copies: Copies, lines: range, size: int, target: Target, multiply_cycles: int = 0
) -> FabricRegion:
    """Programs and routes of `lines`, each with one PE per slice: to the first slice, in a chain or
    in groups of `size`, and back.

    Without arithmetic lines take turns: one starts when the words of that before have left.
    """
    rows = copies.slices * copies.spacing
    routes = _CHAIN_ROUTES if size == 1 else _TWO_PHASE_ROUTES
    found = FabricRegion(rows, 1, len(lines) * routes)
    pace = max(1, multiply_cycles // copies.words)
    start = round(target.noc.collective_start_cycles)
    column = [(row, 0) for row in range(rows)]
    for number, line in enumerate(lines):
        members = range(line, rows, copies.spacing)
        _compute(found, members, multiply_cycles - pace * copies.words)
        own = range(number * routes, (number + 1) * routes)
        sums = own[0], own[1], own[-3], own[-2]
        wait = 0 if multiply_cycles else number * _apart(copies, target)
        how = MessageCost(start + wait, pace, streamed=multiply_cycles > 0)
        add_sum(found, column, members, copies.words, size, sums, Port.NORTH, how)
        back = MessageCost(streamed=how.streamed)
        add_multicast(found, column, members, copies.words, own[-1], back)
    return found


def _compute(found: FabricRegion, rows: range, cycles: int) -> None:
    for row in rows:
        if cycles > 0:
            found.program(row, 0, Instruction.compute(cycles))


def border_region(border: Border, target: Target) -> FabricRegion:
    """Programs and routes of one line with a PE per slice.

    Words come to a slice from the next, which then passes on what came to it: one way, then the
    other.
    """
    rows = border.slices * border.spacing
    found, column = FabricRegion(rows, 1, _BORDER_ROUTES), [(row, 0) for row in range(rows)]
    members, steps = range(0, rows, border.spacing), _steps(border)
    start = round(target.noc.collective_start_cycles)
    ways = _SumWay(members, Port.NORTH, (0, 1)), _SumWay(members[::-1], Port.SOUTH, (2, 3))
    for way, setup in zip(ways, (start, 0), strict=True):
        _route(found, column, way)
        _pass_on(found, column, way, steps, setup)
    return found


@dataclass(frozen=True)
class _SumWay:
    """From every member of a line to the one before it, on alternating colours."""

    members: range
    towards: Port
    colours: tuple[int, int]


def _route(found: FabricRegion, column: Places, way: _SumWay) -> None:
    towards, back = way.towards, OPPOSITE[way.towards]
    for place, position in enumerate(way.members[1:], 1):
        target, colour = way.members[place - 1], way.colours[place % 2]
        step = -1 if target < position else 1
        found.route(*column[position], colour, Port.RAMP, [towards])
        for between in range(position + step, target, step):
            found.route(*column[between], colour, back, [towards])
        found.route(*column[target], colour, back, [Port.RAMP])


def _pass_on(
    found: FabricRegion, column: Places, way: _SumWay, steps: list[tuple[int, int]], setup: int
) -> None:
    """`steps` are (slices crossed before, words)."""
    for number, (hop, words) in enumerate(steps):
        for place, position in enumerate(way.members):
            sends = place > 0 and place + hop < len(way.members)
            receives = place + 1 + hop < len(way.members)
            outgoing, incoming = way.colours[place % 2], way.colours[(place + 1) % 2]
            wait = 0 if number else setup
            if sends and receives:
                one = Instruction.exchange(words, incoming, outgoing, wait)
            elif sends:
                one = Instruction.send(words, outgoing, wait)
            elif receives:
                one = Instruction.receive(words, incoming, wait)
            else:
                continue
            found.program(*column[position], one)


def _steps(border: Border) -> list[tuple[int, int]]:
    """Words that pass from slice to slice, one slice of them after the other."""
    whole, rest = divmod(border.side_words, border.own_words)
    return list(enumerate([border.own_words] * whole + [rest] * (rest > 0)))


def _cycles(found: FabricRegion, target: Target) -> int:
    result = run(found, target)
    assert not result.stuck
    return result.cycles
