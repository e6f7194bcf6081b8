"""What two regions of a stage hand over to each other, stepped on one line of PEs; all do alike.

A line of `line` PEs has its like beyond the border of the regions. Each PE sends its words there,
the one at the border first; as many PEs at a time as a router has routes for.
"""

from __future__ import annotations

from dataclasses import dataclass

from ...compiler.targets.target import Target
from .region import FabricRegion, Instruction, Port
from .run import run
from .slices import turns_of_lines


@dataclass(frozen=True)
class HandOver:
    """Every PE of a line sends so many `words` to its like, `line` hops away."""

    line: int
    words: int


def hand_over_cycles(handed: HandOver, target: Target) -> int:
    """Cycles until all words are there, every PE of both lines stepped."""
    if handed.words == 0:
        return 0
    found = [_region(handed, turn, target) for turn in turns_of_lines(handed.line, 1)]
    results = [run(region, target) for region in found]
    assert not any(result.stuck for result in results)
    return sum(result.cycles for result in results)


def _region(handed: HandOver, senders: range, target: Target) -> FabricRegion:
    """Programs and routes of some PEs of a line, counted from the border."""
    found = FabricRegion(2 * handed.line, 1, len(senders))
    start = round(target.noc.collective_start_cycles)
    for colour, number in enumerate(senders):
        sender = handed.line - 1 - number
        receiver = sender + handed.line
        found.route(sender, 0, colour, Port.RAMP, [Port.SOUTH])
        for between in range(sender + 1, receiver):
            found.route(between, 0, colour, Port.NORTH, [Port.SOUTH])
        found.route(receiver, 0, colour, Port.NORTH, [Port.RAMP])
        found.program(sender, 0, Instruction.send(handed.words, colour, start))
        found.program(receiver, 0, Instruction.receive(handed.words, colour, 0))
    return found
