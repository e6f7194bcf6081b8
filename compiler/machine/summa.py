"""C = A B on p x p PEs with row and column multicast (SUMMA), double-buffered.

In step s column s of PEs multicasts its A tiles along the rows and row s its B tiles along the
columns. While the tiles of step s arrive, the core multiplies those of step s - 1: an inline loop,
one multiply-add of m elements a turn. The senders change from step to step, so every PE finds out
its part and re-programs two routes. A multicast lasts as long as its words, whatever p: it is
hidden unless the product is shorter.

Gradients would need sums in place of one of the multicasts, which nobody measured: they travel on
the ring of ring.py, which cuts the matrices alike.
"""

from __future__ import annotations

import numpy as np

from ..targets.target import Target
from . import ring
from .arrays import Floats, Ints
from .collectives import broadcast
from .cost import Cost
from .exchange import message
from .instruction import multiply_add_cycles, software
from .product import ProductKind, Tile


def has_squares(target: Target) -> bool:
    """Whether what products on square regions are priced by was measured on the machine."""
    needed = (
        "beat_bytes exchange_cycles step_cycles mapped_cycles turn_cycles multicast_step_cycles"
    )
    return all(getattr(target.software, name) is not None for name in needed.split())


def cost(target: Target, tile: Tile) -> Cost:
    """A product on as many rows of PEs as columns."""
    product, pes = tile.product, tile.tilings.out_split
    if product.kind is not ProductKind.FORWARD:
        return ring.cost(target, tile)
    positions = np.minimum(tile.in_positions, tile.out_positions)
    sizes = positions, tile.in_features, tile.out_features
    total = summa_cycles(target, pes, *sizes, product.dtype, product.itemsize)
    compute = np.floor(pes * sizes[1] * sizes[2] * _turn_cycles(target))
    return Cost(compute, total - compute)


def summa_cycles(
    target: Target, pes: Ints, m: Ints, k: Ints, n: Ints, dtype: str, itemsize: int
) -> Floats:
    """The first multicast, then `pes` steps, each an (m x k) times (k x n).

    A step's loop does scalar work of a turn beside the vector work of the last; the datapath also
    takes the words that arrive; or a link is the limit. p does not appear in a step.
    """
    padding = target.noc.link_bytes_per_cycle - itemsize
    left, right = (message(target, size * itemsize + padding) for size in (m * k, k * n))
    longest = np.maximum(left.words, right.words)
    scalar = k * n * _turn_cycles(target)
    datapath = k * n * multiply_add_cycles(target, dtype, m) + left.words + right.words
    step = software(target, "multicast_step_cycles") + np.maximum(scalar, datapath)
    return broadcast(target.noc, longest, pes) + pes * step


def _turn_cycles(target: Target) -> float:
    return software(target, "turn_cycles")
