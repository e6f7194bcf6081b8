"""The update phase: vector passes over a PE's own weights, no communication.

Each weight and each of the optimizer's state tensors is read, combined with the gradient and
written back: two passes (a scaling and a multiply-add) per tensor, over the non-zeros only.
"""

from __future__ import annotations

from .site import Cost, Site
from .tilings import Ints

_PASSES_PER_TENSOR = 2


def update(site: Site, weights: Ints, dtype: str, optimizer_states: int) -> Cost:
    """Cost of updating `weights` stored weights per PE (one value per tiling)."""
    passes = _PASSES_PER_TENSOR * (optimizer_states + 1)
    return Cost(site.vector_cycles(weights, dtype, passes), site.zeros())
