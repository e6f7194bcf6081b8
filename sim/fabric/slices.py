"""What slices of the positions tell each other, stepped on one column of PEs; all columns do alike.

A slice is a block of `spacing` rows of PEs, and slices lie one after the other, so the PEs that
hold the same weights, or the next pixels, are `spacing` hops apart and as many lines share every
link; of interleaved slices they are neighbours, with a `spacing` of one. Each line has routes of
its own, as many lines at a time as a router has room for.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, repeat

from ...compiler.targets.target import Target
from .kernels import Message, Places, add_multicast
from .region import MAX_ROUTES, OPPOSITE, Instruction, Port, Region
from .run import run
from .sums import add_sum, chain_is_faster

_BORDER_ROUTES, _CHAIN_ROUTES, _TWO_PHASE_ROUTES = 4, 3, 5


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
    """All PEs that hold the same weights sum `words` of gradients and get the sums back."""

    slices: int
    spacing: int
    words: int


def border_cycles(border: Border, target: Target) -> int:
    """Cycles until every PE has its borders, every PE of a column stepped."""
    if border.slices == 1 or border.side_words == 0:
        return 0
    return sum(
        _cycles(border_region(border, lines, target), target)
        for lines in turns_of_lines(border.spacing, _BORDER_ROUTES)
    )


def copies_cycles(copies: Copies, target: Target, multiply_cycles: int = 0) -> int:
    """Cycles of the sum over the slices and back, every PE of a column stepped; with
    `multiply_cycles` of arithmetic that makes the words, one after the other, on all lines while
    the first of them are summed."""
    if copies.slices == 1:
        return multiply_cycles
    on_link = copies.spacing * copies.words
    in_chain = chain_is_faster(target, copies.slices, on_link, multiply_cycles > 0)
    turns = turns_of_lines(copies.spacing, _CHAIN_ROUTES if in_chain else _TWO_PHASE_ROUTES)
    arithmetic = chain([multiply_cycles], repeat(0))
    return sum(
        _cycles(copies_region(copies, lines, in_chain, target, multiply), target)
        for lines, multiply in zip(turns, arithmetic, strict=False)
    )


def turns_of_lines(lines: int, routes: int, taken: int = 0) -> Iterator[range]:
    """The lines in groups that a router has routes for, beside those that are `taken`."""
    most = (MAX_ROUTES - taken) // max(1, routes)
    return (range(first, min(first + most, lines)) for first in range(0, lines, most))


def copies_region(
    copies: Copies, lines: range, in_chain: bool, target: Target, multiply_cycles: int = 0
) -> Region:
    """Programs and routes of `lines`, each with one PE per slice: to the first slice and back.

    Without arithmetic lines take turns: one starts when the words of that before have left.
    """
    rows = copies.slices * copies.spacing
    routes = _CHAIN_ROUTES if in_chain else _TWO_PHASE_ROUTES
    found = Region(rows, 1, len(lines) * routes)
    pace = max(1, multiply_cycles // copies.words)
    start = round(target.noc.collective_start_cycles)
    column = [(row, 0) for row in range(rows)]
    for number, line in enumerate(lines):
        members = range(line, rows, copies.spacing)
        _compute(found, members, multiply_cycles - pace * copies.words)
        own = range(number * routes, (number + 1) * routes)
        sums = own[0], own[1], own[-3], own[-2]
        wait = 0 if multiply_cycles else number * copies.words
        how = Message(start + wait, pace)
        add_sum(found, column, members, copies.words, in_chain, sums, Port.NORTH, how)
        add_multicast(found, column, members, copies.words, own[-1])
    return found


def _compute(found: Region, rows: range, cycles: int) -> None:
    for row in rows:
        if cycles > 0:
            found.program(row, 0, Instruction.compute(cycles))


def border_region(border: Border, lines: range, target: Target) -> Region:
    """Programs and routes of `lines`, each with one PE per slice.

    Words come to a slice from the next, which then passes on what came to it. Every other line goes
    the other way first, so that both directions of the links are in use.
    """
    rows = border.slices * border.spacing
    found = Region(rows, 1, len(lines) * _BORDER_ROUTES)
    start = round(target.noc.collective_start_cycles)
    column = [(row, 0) for row in range(rows)]
    for number, line in enumerate(lines):
        members = range(line, rows, border.spacing)
        first = number * _BORDER_ROUTES
        ways = [(members, Port.NORTH, first), (members[::-1], Port.SOUTH, first + 2)]
        for order, (way, towards, colour) in enumerate(ways if line % 2 else ways[::-1]):
            setup = 0 if order else start
            _pass_on(found, column, way, towards, (colour, colour + 1), border, setup)
    return found


def _pass_on(
    found: Region,
    column: Places,
    members: range,
    towards: Port,
    pair: tuple[int, int],
    border: Border,
    setup: int,
) -> None:
    """From every member to the one before it, step by step."""
    for place, position in enumerate(members[1:], 1):
        target, back = members[place - 1], OPPOSITE[towards]
        step = -1 if target < position else 1
        found.route(*column[position], pair[place % 2], Port.RAMP, [towards])
        for between in range(position + step, target, step):
            found.route(*column[between], pair[place % 2], back, [towards])
        found.route(*column[target], pair[place % 2], back, [Port.RAMP])
    for hop, words in enumerate(_steps(border)):
        for place, position in enumerate(members):
            sends = place > 0 and place + hop < len(members)
            receives = place + 1 + hop < len(members)
            outgoing, incoming = pair[place % 2], pair[(place + 1) % 2]
            wait = 0 if hop else setup
            if sends and receives:
                one = Instruction.exchange(words, incoming, outgoing, wait)
            elif sends:
                one = Instruction.send(words, outgoing, wait)
            elif receives:
                one = Instruction.receive(words, incoming, wait)
            else:
                continue
            found.program(*column[position], one)


def _steps(border: Border) -> list[int]:
    """Words that pass from slice to slice, one slice of them after the other."""
    whole, rest = divmod(border.side_words, border.own_words)
    return [border.own_words] * whole + [rest] * (rest > 0)


def _cycles(found: Region, target: Target) -> int:
    result = run(found, target)
    assert not result.stuck
    return result.cycles
