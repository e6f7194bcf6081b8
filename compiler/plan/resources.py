"""What collectives inside a region take of a PE: colours of its router, queues of its core.

Operators of a stage run one after the other and use the same ones again. Operands come along rows
(one colour) and down columns (one more); sums go to one PE of a line, each PE taking words on one
colour and sending them on another, and go back on that of the operands. Slices of the positions
exchange borders both ways. Sums that nothing waits for run beside the operators that follow: in two
chains to the middle of a line and back from there. One after the other, borders, then such sums
along rows, then over the slices use the same colours, each by a position of its own.
"""

from __future__ import annotations

from .stage_record import Rectangle

COLOURS, QUEUES = "noc.colours", "noc.queues"


def collective_colours(region: Rectangle, slices: int) -> int:
    """Colours that the messages inside a region need on its routers."""
    across, down = int(region.width > 1), int(region.height > 1)
    return across + down + 2 * max(across, down) + 3 * int(across or down or slices > 1)


def collective_queues(region: Rectangle, slices: int) -> int:
    """Queues that they need into a core, and out of it: one for the operands of each direction, one
    for sums; and two for borders and sums beside: what comes, and what comes back."""
    across, down = int(region.width > 1), int(region.height > 1)
    return across + down + max(across, down) + 2 * int(across or down or slices > 1)
