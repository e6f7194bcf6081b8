"""A sum over a line of PEs and back to all of them, in which nobody hands on, stepped."""

from __future__ import annotations

from collections.abc import Sequence

from .kernels import MessageCost, Places, add_chain, add_spread
from .region import OPPOSITE, FabricRegion, Instruction, Port


def add_star(
    found: FabricRegion,
    line: Places,
    words: int,
    colours: range,
    towards: Port,
    how: MessageCost,
    issue: int,
) -> None:
    """Over all of `line`, whose first PE lies `towards`.

    The PEs of either half send to the one of them in the middle; one of these two sends its sum to
    the other, which sends it back both ways. `how` is how a PE's first instruction starts, the
    others take `issue` cycles.
    """
    pes = len(line)
    middle, later, away = pes // 2, MessageCost(issue), OPPOSITE[towards]
    add_to_centre(found, line, range(middle, pes), words, colours[0], towards, how)
    add_to_centre(found, line, range(middle - 1, -1, -1), words, colours[0], away, how)
    first, last = (how if pes == 2 else later), (how if pes <= 3 else later)
    pair = colours[1], colours[1]
    add_chain(found, line, [middle, middle - 1], words, pair, away, last, first)
    add_spread(found, line, range(pes), words, colours[2], later)


def add_to_centre(
    found: FabricRegion,
    line: Places,
    members: Sequence[int],
    words: int,
    colour: int,
    towards: Port,
    how: MessageCost,
) -> None:
    """Neighbours of a line send to the first of them, which adds the words of the nearest first:
    each router passes on its own core's words, then it switches to those from behind."""
    last = len(members) - 1
    for place, position in enumerate(members[1:], 1):
        if place < last:
            found.switched(*line[position], colour, words, OPPOSITE[towards], [towards])
        else:
            found.route(*line[position], colour, Port.RAMP, [towards])
        found.program(*line[position], how.applied(Instruction.send(words, colour, how.setup)))
    if last > 0:
        found.route(*line[members[0]], colour, OPPOSITE[towards], [Port.RAMP])
        steps = [Instruction.add(words, colour, 0 if place else how.setup) for place in range(last)]
        found.program(*line[members[0]], *map(how.applied, steps))
