"""C = A B in fp16 on p x p PEs with row and column multicast (SUMMA), double-buffered.

In step s column s of PEs multicasts its A tiles along the rows and row s its B tiles along the
columns. While the tiles of step s arrive, the core multiplies those of step s - 1: an inline loop,
one multiply-add of m elements a turn, scalar work of a turn beside the vector work of the last.
The senders change from step to step, so every PE finds out its part and re-programs two routes.
A multicast lasts as long as its words, whatever p: it is hidden unless the product is shorter.
"""

from __future__ import annotations

from ....compiler.targets.target import Target
from ..exchange import Tile, tile_of
from ..line import broadcast_cycles, timing
from ..pe import group_cycles, groups, software
from .kernel import Kernel, Row

_DTYPE, _ITEMSIZE = "float16", 2


def summa_overlapped(target: Target, row: Row) -> tuple[float]:
    """Cycles of one product: the first multicast, then p steps."""
    pes = row.count("p")
    m, k, n = row.count("tile_m"), row.count("tile_k"), row.count("tile_n")
    row.require_memory(target, (2 * (m * k + k * n) + m * n) * _ITEMSIZE)
    first = max(_tiles(target, row), key=lambda tile: tile.words)
    fill = broadcast_cycles(pes, first.words, timing(target, target.noc.link_bytes_per_cycle))
    return (software(target, "call_cycles") + fill + pes * step_cycles(target, row),)


def step_cycles(target: Target, row: Row) -> float:
    """One step. p does not appear."""
    k, n = row.count("tile_k"), row.count("tile_n")
    vector = groups(target, _DTYPE, row.count("tile_m")) * group_cycles(target, _DTYPE)
    compute = k * n * max(software(target, "turn_cycles"), vector)
    arriving = max(tile.words for tile in _tiles(target, row))
    return software(target, "multicast_step_cycles") + max(compute, arriving)


def _tiles(target: Target, row: Row) -> tuple[Tile, Tile]:
    m, k, n = row.count("tile_m"), row.count("tile_k"), row.count("tile_n")
    return tile_of(target, m * k + 1, _ITEMSIZE), tile_of(target, k * n + 1, _ITEMSIZE)


KERNELS = (Kernel("summa_overlapped", "wse3", ("cycles",), summa_overlapped),)
