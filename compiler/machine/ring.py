"""C = A B on p x p PEs, Cannon-like on a ring folded into each row and column (MeshGEMM).

All three matrices are cut p times along both axes. The ring visits every second PE and comes back
over the others, so a step is two hops long. First p / 2 blocking exchanges of the A tiles skew
them; then p steps, each of which exchanges both tiles with the ring neighbours while the core
multiplies the tiles it has. Odd elements stay at home: a tile is sent in whole words.

A forward product keeps its outputs, and inputs and weights travel. Of a gradient the gradient of
the outputs stays where it is; the sums travel in place of the inputs, or of the weights.
"""

from __future__ import annotations

import numpy as np

from ..targets.target import Target
from .arrays import Floats, Ints
from .cost import Cost
from .exchange import Message, blocking_cycles, message, overlapped_cycles
from .instruction import software, written_cycles
from .local_product import mapped_product_cycles
from .product import ProductKind, Tile

_RING_HOPS = 2


def cost(target: Target, tile: Tile) -> Cost:
    """A product on as many rows of PEs as columns."""
    pes, size = tile.tilings.out_split, tile.product.itemsize
    positions = np.minimum(tile.in_positions, tile.out_positions)
    inputs, outputs = tile.in_features, tile.out_features
    m, k, n = {
        ProductKind.FORWARD: (positions, inputs, outputs),
        ProductKind.INPUT_GRADIENT: (positions, outputs, inputs),
        ProductKind.WEIGHT_GRADIENT: (inputs, positions, outputs),
    }[tile.product.kind]
    compute = np.ceil(mapped_product_cycles(target, tile.product.dtype, m, k, n))
    left = message(target, positions * inputs * size)
    right = message(target, inputs * outputs * size)
    total = ring_cycles(target, pes, left, right, compute)
    arithmetic = pes.astype(np.float64) * compute
    return Cost(arithmetic, total - arithmetic)


def ring_cycles(
    target: Target,
    pes: Ints | int,
    left: Message,
    right: Message,
    compute: Floats | float,
    skew: bool = True,
) -> Floats:
    """With `compute` cycles of arithmetic in each step; without `skew` where the A tiles are still
    in place from another product."""
    step = software(target, "step_cycles") + overlapped_cycles(compute, left, right)
    entry = target.noc.collective_start_cycles + written_cycles(target)
    skewing = np.asarray(pes) // 2 * skew_cycles(target, left) if skew else 0.0
    return entry + skewing + pes * step


def skew_cycles(target: Target, left: Message) -> Floats:
    """One exchange on the ring. Nobody is first on a ring, so everybody waits for a tile's flight,
    but for the time in which its own receive starts: unlike a shift, this program begins to send
    and to receive at once (published source of MeshGEMM)."""
    noc = target.noc
    flight = 2 * noc.ramp_cycles + _RING_HOPS * noc.hop_cycles
    wait = max(0.0, flight - noc.issue_cycles)
    return blocking_cycles(target, left) + np.where(left.words > 0, wait, 0.0)
