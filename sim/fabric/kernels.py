"""Collective operations as regions: the programs that the formulas of the other levels describe."""

from __future__ import annotations

from .region import Instruction, Port, Region

_EAST, _WEST, _RAMP = Port.EAST, Port.WEST, Port.RAMP


def chain(pes: int, words: int, rows: int = 1) -> Region:
    """Sum over each row to its first PE: every PE adds and passes on, on alternating colours."""
    region = Region(rows, pes, colours=2)
    for row in range(rows):
        _chain(region, row, range(pes), words, (0, 1))
    return region


def two_phase(pes: int, group_size: int, words: int, rows: int = 1) -> Region:
    """Chains inside groups of `group_size`, then a chain over the groups' first PEs."""
    region = Region(rows, pes, colours=4)
    firsts = range(0, pes, group_size)
    for row in range(rows):
        for first in firsts:
            _chain(region, row, range(first, min(first + group_size, pes)), words, (0, 1))
        _chain(region, row, firsts, words, (2, 3))
    return region


def _chain(region: Region, row: int, members: range, words: int, pair: tuple[int, int]) -> None:
    """The last member sends west, those before it add and send, the first adds."""
    last = len(members) - 1
    for place, column in enumerate(members):
        outgoing, incoming = pair[place % 2], pair[(place + 1) % 2]
        if place > 0:
            region.route(row, column, outgoing, _RAMP, [_WEST])
            _pass_west(region, row, range(members[place - 1] + 1, column), outgoing)
        if place < last:
            region.route(row, column, incoming, _EAST, [_RAMP])
        if last == 0:
            continue
        if place == last:
            region.program(row, column, Instruction.send(words, outgoing))
        elif place == 0:
            region.program(row, column, Instruction.add(words, incoming))
        else:
            region.program(row, column, Instruction.add_and_send(words, incoming, outgoing))


def _pass_west(region: Region, row: int, columns: range, colour: int) -> None:
    for column in columns:
        region.route(row, column, colour, _EAST, [_WEST])


def broadcast(pes: int, words: int, rows: int = 1) -> Region:
    """The first PE of each row to all of it, by multicast."""
    region = Region(rows, pes, colours=1)
    for row in range(rows):
        region.route(row, 0, 0, _RAMP, [_EAST])
        region.program(row, 0, Instruction.send(words, 0))
        for column in range(1, pes):
            onward = [_EAST] if column < pes - 1 else []
            region.route(row, column, 0, _WEST, [_RAMP, *onward])
            region.program(row, column, Instruction.receive(words, 0))
    return region


def shift(pes: int, words: int, repeats: int, step: int, rows: int = 1) -> Region:
    """Each PE sends `words` east and receives as many from the west, `repeats` times, blocking.

    `step` cycles of software come before every exchange. The first PE only sends, the last only
    receives.
    """
    region = Region(rows, pes, colours=2)
    for row in range(rows):
        for column in range(pes):
            outgoing, incoming = column % 2, (column + 1) % 2
            if column < pes - 1:
                region.route(row, column, outgoing, _RAMP, [_EAST])
            if column > 0:
                region.route(row, column, incoming, _WEST, [_RAMP])
            one = _exchange(column, pes, words, incoming, outgoing, step)
            region.program(row, column, *[one] * repeats)
    return region


def _exchange(
    column: int, pes: int, words: int, incoming: int, outgoing: int, step: int
) -> Instruction:
    if column == 0:
        return Instruction.send(words, outgoing, step)
    if column == pes - 1:
        return Instruction.receive(words, incoming, step)
    return Instruction.exchange(words, incoming, outgoing, step)
