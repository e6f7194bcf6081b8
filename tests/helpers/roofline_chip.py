"""A chip of one unit at 1 Hz."""

from __future__ import annotations

from dataclasses import replace

from weft.compiler.targets import Roofline, load_machine


def chip_of(macs_per_cycle: float = 10.0, bytes_per_s: float = 100.0) -> Roofline:
    """One unit at 1 Hz."""
    chip = load_machine("h200", {"clock_hz": "1", "units": "1", "memory.bytes": "1000"})
    assert isinstance(chip, Roofline)
    compute = {"float32": replace(chip.compute["float32"], macs_per_cycle=macs_per_cycle)}
    return replace(chip, compute=compute, memory=replace(chip.memory, bytes_per_s=bytes_per_s))
