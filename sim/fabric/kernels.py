"""Collective operations as regions: the programs that the formulas of the other levels describe."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from .region import OPPOSITE, FabricRegion, Instruction, Port

_EAST, _WEST, _RAMP = Port.EAST, Port.WEST, Port.RAMP


@dataclass(frozen=True)
class MessageCost:
    """`setup` cycles before the first word of a message, `pace` cycles of the core for each. Words
    that are `streamed` are not all in a core's memory at once."""

    setup: int = 0
    pace: int = 1
    streamed: bool = False

    def applied(self, step: Instruction) -> Instruction:
        """An instruction of the message, which has its setup already."""
        return replace(step, pace=self.pace, streamed=self.streamed)


MESSAGE = MessageCost()


Places = Sequence[tuple[int, int]]


def chain(pes: int, words: int, rows: int = 1) -> FabricRegion:
    """Sum over each row to its first PE: every PE adds and passes on, on alternating colours."""
    region = FabricRegion(rows, pes, colours=2)
    for row in range(rows):
        add_chain(region, _row(row, pes), range(pes), words, (0, 1))
    return region


def two_phase(pes: int, group_size: int, words: int, rows: int = 1) -> FabricRegion:
    """Chains inside groups of `group_size`, then a chain over the groups' first PEs."""
    region = FabricRegion(rows, pes, colours=4)
    for row in range(rows):
        add_two_phase(region, _row(row, pes), range(pes), group_size, words, (0, 1, 2, 3))
    return region


def add_two_phase(
    region: FabricRegion,
    line: Places,
    members: range,
    group_size: int,
    words: int,
    colours: tuple[int, int, int, int],
    towards: Port = _WEST,
    how: MessageCost = MESSAGE,
) -> None:
    """Add to the programs along a line; `how` is how the first of the two phases starts and moves,
    the second begins at once, a word per cycle."""
    for first in range(0, len(members), group_size):
        group = members[first : first + group_size]
        add_chain(region, line, group, words, colours[:2], towards, how)
    second = MessageCost(streamed=how.streamed)
    add_chain(region, line, members[::group_size], words, colours[2:], towards, second)


def add_chain(
    region: FabricRegion,
    line: Places,
    members: Sequence[int],
    words: int,
    pair: tuple[int, int],
    towards: Port = _WEST,
    how: MessageCost = MESSAGE,
    first_how: MessageCost | None = None,
) -> None:
    """The last member sends towards the first, those between add and send, the first adds; it does
    so in its own way, `first_how`, if that is given.

    `line` goes from one end of the line to the other, step by step; `members` are positions on it.
    """
    last, back = len(members) - 1, OPPOSITE[towards]
    way = 1 if last < 1 or members[1] > members[0] else -1
    for place, position in enumerate(members):
        outgoing, incoming = pair[place % 2], pair[(place + 1) % 2]
        if place > 0:
            region.route(*line[position], outgoing, _RAMP, [towards])
            for between in range(members[place - 1] + way, position, way):
                region.route(*line[between], outgoing, back, [towards])
        if place < last:
            region.route(*line[position], incoming, back, [_RAMP])
        if last == 0:
            continue
        if place == last:
            step = Instruction.send(words, outgoing, how.setup)
        elif place == 0:
            own = first_how or how
            step = Instruction.add(words, incoming, own.setup)
        else:
            step = Instruction.add_and_send(words, incoming, outgoing, how.setup)
        region.program(*line[position], how.applied(step))


def add_multicast(
    region: FabricRegion,
    line: Places,
    members: range,
    words: int,
    colour: int,
    how: MessageCost = MESSAGE,
) -> None:
    """From the first member to the others, either way along a line that runs east or south."""
    _send_out(region, line, members, members[0], words, colour, how)


def add_spread(
    region: FabricRegion,
    line: Places,
    members: range,
    words: int,
    colour: int,
    how: MessageCost = MESSAGE,
) -> None:
    """From the middle member of a line that runs east or south to the others, both ways at once."""
    _send_out(region, line, members, members[len(members) // 2], words, colour, how)


def _send_out(
    region: FabricRegion,
    line: Places,
    members: range,
    root: int,
    words: int,
    colour: int,
    how: MessageCost,
) -> None:
    """From the member at `root`, by multicast, along the line on both sides of it."""
    towards_end = _EAST if line[0][0] == line[-1][0] else Port.SOUTH
    ends = {1: max(members[0], members[-1]), -1: min(members[0], members[-1])}
    ways = {way: end for way, end in ends.items() if end != root}
    ports = {1: towards_end, -1: OPPOSITE[towards_end]}
    region.route(*line[root], colour, _RAMP, [ports[way] for way in ways])
    send = Instruction.send(words, colour, how.setup)
    region.program(*line[root], how.applied(send))
    receive = how.applied(Instruction.receive(words, colour))
    for way, end in ways.items():
        for position in range(root + way, end + way, way):
            onward = [ports[way]] if position != end else []
            if position in members:
                region.program(*line[position], receive)
                onward.append(_RAMP)
            region.route(*line[position], colour, OPPOSITE[ports[way]], onward)


def _row(row: int, pes: int) -> Places:
    return [(row, column) for column in range(pes)]


def broadcast(pes: int, words: int, rows: int = 1) -> FabricRegion:
    """The first PE of each row to all of it, by multicast."""
    region = FabricRegion(rows, pes, colours=1)
    for row in range(rows):
        region.route(row, 0, 0, _RAMP, [_EAST])
        region.program(row, 0, Instruction.send(words, 0))
        for column in range(1, pes):
            onward = [_EAST] if column < pes - 1 else []
            region.route(row, column, 0, _WEST, [_RAMP, *onward])
            region.program(row, column, Instruction.receive(words, 0))
    return region


def shift(pes: int, words: int, repeats: int, step: int, rows: int = 1) -> FabricRegion:
    """Each PE sends `words` east and receives as many from the west, `repeats` times, blocking.

    `step` cycles of software come before every exchange. The first PE only sends, the last only
    receives.
    """
    region = FabricRegion(rows, pes, colours=2)
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


def ring_product(pes: int, words: int, multiply_cycles: int) -> FabricRegion:
    """One column of a product C = A B on `pes` x any number of columns, which are all alike.

    Every PE holds its rows of A and a tile of B and C. The tiles of B, of `words` each, go round a
    ring folded into the column: down over the even PEs, back over the odd ones, two hops at a time.
    In each of `pes` steps a PE multiplies for `multiply_cycles` and passes its tile on. `pes` is
    even.
    """
    ring = [*range(0, pes, 2), *range(pes - 1, 0, -2)]
    region = FabricRegion(pes, 1, colours=4)
    for place, row in enumerate(ring):
        outgoing = 2 * (place >= pes // 2) + place % 2
        following = ring[(place + 1) % pes]
        towards = Port.SOUTH if following > row else Port.NORTH
        back, step = OPPOSITE[towards], 1 if following > row else -1
        region.route(row, 0, outgoing, _RAMP, [towards])
        for between in range(row + step, following, step):
            region.route(between, 0, outgoing, back, [towards])
        region.route(following, 0, outgoing, back, [_RAMP])
        before = place - 1 if place else pes - 1
        incoming = 2 * (before >= pes // 2) + before % 2
        exchange = Instruction.exchange(words, incoming, outgoing)
        region.program(row, 0, Instruction.compute(multiply_cycles), exchange)
        region.repeat(row, 0, pes)
    return region
