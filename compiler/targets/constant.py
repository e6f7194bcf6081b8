"""A hardware constant with its source and how firm it is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class MachineConstant:
    """A hardware constant the plan used: its value, where it was found, how firm it is."""

    name: str
    """Its path in the target file, such as `pe.memory_bytes`."""
    value: float | int | str | bool | tuple[int | str, ...]
    """Its value; the unit is in the name."""
    source: str
    """Where it was found, or `set by ...` if the user changed it."""
    confidence: str
    """How firm it is: `published`, `derived`, `fitted`, `memory` or `assumed`."""
