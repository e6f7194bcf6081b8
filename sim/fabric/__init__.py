"""PE-level simulation of small regions, cycle by cycle: routers, ramps, wavelets, programs."""

from __future__ import annotations

from .kernels import broadcast, chain, ring_product, shift, two_phase
from .product import forward_cycles
from .region import Instruction, Port, Region
from .run import FabricResult, run

__all__ = [
    "FabricResult",
    "Instruction",
    "Port",
    "Region",
    "broadcast",
    "chain",
    "forward_cycles",
    "ring_product",
    "run",
    "shift",
    "two_phase",
]
