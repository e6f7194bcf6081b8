"""What collectives inside a region take of a PE: colours of its router, queues of its core.

Operators of a stage run one after the other and use the same ones again. Operands come along rows
(one colour) and down columns (one more); sums go to one PE of a line, each PE taking words on one
colour and sending them on another, and go back on that of the operands. Slices of the positions
exchange borders both ways. Sums that nothing waits for run beside the operators that follow: in two
chains to the middle of a line and back from there. One after the other, borders, then such sums
along rows, then over the slices use the same colours, each by a position of its own. Where forward
and backward have a region each, words pass between these both ways while either is at work.
"""

from __future__ import annotations

from .stage_record import Rectangle

COLOURS, QUEUES = "noc.colours", "noc.queues"


def collective_colours(region: Rectangle, slices: int, regions: int = 1) -> int:
    """Colours that the messages inside a region need on its routers, and those to another one of
    the stage's `regions`."""
    across, down = int(region.width > 1), int(region.height > 1)
    own = across + down + 2 * max(across, down) + 3 * int(across or down or slices > 1)
    return own + 2 * (regions - 1)


def collective_queues(region: Rectangle, slices: int, regions: int = 1) -> int:
    """Queues that they need into a core, and out of it: one for the operands of each direction, one
    for sums; two for borders and sums beside: what comes, and what comes back; and one for what
    another of the stage's `regions` sends or takes."""
    across, down = int(region.width > 1), int(region.height > 1)
    own = across + down + max(across, down) + 2 * int(across or down or slices > 1)
    return own + regions - 1
