"""PE-level simulation of small regions, cycle by cycle: routers, ramps, wavelets, programs."""

from __future__ import annotations

from .kernels import broadcast, chain, ring_product, shift, two_phase
from .level import PhaseRow, phase_rows, simulate_stepped, with_fabric_cycles
from .region import FabricRegion, Instruction, Port
from .run import FabricResult, run

__all__ = [
    "FabricRegion",
    "FabricResult",
    "Instruction",
    "PhaseRow",
    "Port",
    "broadcast",
    "chain",
    "phase_rows",
    "ring_product",
    "run",
    "shift",
    "simulate_stepped",
    "two_phase",
    "with_fabric_cycles",
]
