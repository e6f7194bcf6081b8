"""Every word that a core sends is taken by every core that its colour leads to.

A router listens to one port of a colour, so the routes of a colour are trees, each with the core at
its root as the only sender; where routes switch, those on the way send as well, before those from
above. What a core takes can then be held against what those above it send before a cycle is
stepped.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...backend.errors import UserError
from .fold import FoldedPart
from .loop import LANE
from .region import FabricRegion, Operation, Port

Ints = NDArray[np.int64]

_SENDING = (Operation.SEND, Operation.ADD_AND_SEND, Operation.EXCHANGE)
_TAKING = (Operation.RECEIVE, Operation.ADD, Operation.ADD_AND_SEND, Operation.EXCHANGE)


def check_conservation(region: FabricRegion, part: FoldedPart) -> None:
    """Raises UserError for routes in a circle, words sent or taken without a route from or to the
    core, and words that no instruction takes. Cores that take more than comes wait for ever, which
    is a result, not a fault of the region."""
    sent, taken = _words(region, part, _SENDING, 3), _words(region, part, _TAKING, 2)
    to_core = part.outputs >> Port.RAMP & 1 == 1
    from_core = region.inputs()[part.pes[0]].ravel() == Port.RAMP
    begins, passed = _followed(part, sent)
    left = np.where(to_core, passed, 0) - taken
    sends, takes = "a route from the core, which sends", "a route to the core, which takes words"
    _refuse(region, part, (sent > 0) & ~from_core, sends, "no input RAMP")
    _refuse(region, part, (taken > 0) & ~to_core, takes, "no output RAMP")
    _refuse(region, part, ~begins, "routes that end at a core", "routes that go round in a circle")
    other = (part.own_words > 0) & (sent != part.own_words)
    own = "as many words of the core as come before its route switches"
    _refuse(region, part, other, own, "another number")
    over = f"{left.max(initial=0):,} words left over"
    _refuse(region, part, left == max(1, left.max(initial=0)), "a taker for every word", over)


def _words(
    region: FabricRegion, part: FoldedPart, operations: tuple[Operation, ...], column: int
) -> Ints:
    """Words of all instructions of such operations in the whole run, by (PE, colour)."""
    code = part.code.astype(np.int64)
    lengths = np.diff(part.starts)
    pe = np.repeat(np.arange(len(lengths)), lengths)
    chosen = np.isin(code[:, 0], operations)
    lanes = pe[chosen] * region.colours + code[chosen, column]
    words = code[chosen, 1] * part.repeats[pe[chosen]]
    found = np.zeros(len(lengths) * region.colours, np.int64)
    np.add.at(found, lanes, words)
    return found


def _followed(part: FoldedPart, sent: Ints) -> tuple[NDArray[np.bool_], Ints]:
    """Of every (PE, colour) whether its words come from a core, not round in a circle; and how many
    come through it, its own core's and those of all above it."""
    lanes = len(part.hops)
    above = np.full(lanes + 1, lanes)
    for copy in range(4):
        used = part.hops[:, 0] > copy
        above[part.hops[used, 1 + 3 * copy] // LANE] = np.flatnonzero(used)
    passed = np.append(sent, 0)
    for _ in range(lanes.bit_length()):
        passed += passed[above]
        above = above[above]
    return above[:-1] == lanes, passed[:-1]


def _refuse(
    region: FabricRegion, part: FoldedPart, wrong: NDArray[np.bool_], expected: str, got: str
) -> None:
    for lane in np.flatnonzero(wrong)[:1].tolist():
        pe, colour = divmod(lane, region.colours)
        row, column = divmod(int(part.pes[0, pe]), region.width)
        raise UserError(
            f"colour {colour} at row {row}, column {column}",
            expected=expected,
            got=got,
            change="correct the routes or the programs",
        )
