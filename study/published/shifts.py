"""Every PE sends a tile to the right and receives one from the left, blocking, again and again."""

from __future__ import annotations

import numpy as np

from ...compiler.machine.exchange import message, shift_cycles
from ...compiler.plan.evidence.mechanisms import EXCHANGE
from ...compiler.targets.target import Target
from ...sim.validation.row import Row
from .kernel import PublishedKernel, made_of

_HALF_BYTES = 2


def shift_blocking(target: Target, row: Row) -> tuple[float]:
    """Cycles until the last PE has received its last tile (tile x tile fp16, padded to words)."""
    size, word = row.count("tile") ** 2 * _HALF_BYTES, target.noc.link_bytes_per_cycle
    row.require_memory(target, 2 * size)
    tile = message(target, -(-size // word) * word)
    pes, repeats = np.array(row.count("p")), np.array(row.count("repeats"))
    return (float(shift_cycles(target, tile, pes, repeats)),)


KERNELS = (
    PublishedKernel("shift_blocking", "wse3", ("cycles",), shift_blocking, made_of(EXCHANGE)),
)
