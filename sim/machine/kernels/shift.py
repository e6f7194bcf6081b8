"""Every PE sends a tile to the right and receives one from the left, blocking, again and again."""

from __future__ import annotations

from ....compiler.targets.target import Target
from ..exchange import Tile, blocking
from ..line import exchange_cycles, timing
from ..pe import instruction_cycles, software
from .kernel import Kernel, Row

_HALF_BYTES = 2


def shift_blocking(target: Target, row: Row) -> tuple[float]:
    """Cycles until the last PE has received its last tile (tile x tile fp16, packed in words)."""
    noc, beat_bytes = target.noc, int(software(target, "beat_bytes"))
    size = row.count("tile") ** 2 * _HALF_BYTES
    row.require_memory(target, 2 * size)
    tile = Tile(-(-size // noc.link_bytes_per_cycle), -(-size // beat_bytes))
    of = timing(target, beat_bytes)
    step = blocking(target, tile)
    flight = exchange_cycles(row.count("p"), row.count("repeats"), step, of)
    return (instruction_cycles(target) + flight,)


KERNELS = (Kernel("shift_blocking", "wse3", ("cycles",), shift_blocking),)
