"""How much of an item's time its first part, its first window and its last part take."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .wiring import Channel, Wiring

Ints = NDArray[np.int64]


class PartCycles(NamedTuple):
    """Of every channel the cycles of work that its producer does for the first part and for the
    first window of an item, its consumer for the last part; and the cycles that the links need for
    a window and for the last part."""

    part_work: Ints
    window_work: Ints
    tail_work: Ints
    window_occupancy: Ints
    tail_occupancy: Ints


def part_cycles(wiring: Wiring) -> PartCycles:
    """Whole cycles, rounded up."""
    parts = [(c, wiring.units[c.producer], wiring.units[c.consumer]) for c in wiring.channels]
    return PartCycles(
        part_work=_column([_share(p.cycles[c.phase], 1, c) for c, p, _ in parts]),
        window_work=_column([_share(p.cycles[c.phase], c.window, c) for c, p, _ in parts]),
        tail_work=_column([_share(s.cycles[c.phase], 1, c) for c, _, s in parts]),
        window_occupancy=_column([_share(c.work_cycles, c.window, c) for c, _, _ in parts]),
        tail_occupancy=_column([_share(c.work_cycles, 1, c) for c, _, _ in parts]),
    )


def _column(cycles: list[int]) -> Ints:
    return np.array(cycles, np.int64)


def _share(cycles: int, parts: int, channel: Channel) -> int:
    return -(-cycles * parts // channel.parts)
