"""A chip as a roofline: peak arithmetic, memory bandwidth, memory size, and nothing between them.

No plan is made for it. A model on it is bounded from above (Williams et al., 2009): a step takes at
least its arithmetic at the peak rate, and at least its bytes at the memory's bandwidth.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from pydantic import ConfigDict

from ...backend.errors import UnsupportedError
from .constant import MachineConstant
from .target import Advertised, Positive, PositiveFloat

_STRICT = ConfigDict(extra="forbid")
_FLOPS_PER_MAC = 2


@dataclass(frozen=True)
class UnitRate:
    """Dense multiply-adds per cycle of one unit in one dtype."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    macs_per_cycle: PositiveFloat


@dataclass(frozen=True)
class Memory:
    """The memory that holds weights and activations: bytes, and bytes per second of its traffic."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    bytes: PositiveFloat
    bytes_per_s: PositiveFloat


@dataclass(frozen=True)
class Roofline:
    """One chip of `units` equal units at `clock_hz`."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    name: str
    vendor: str
    year: int
    description: str
    clock_hz: PositiveFloat
    units: Positive
    compute: Mapping[str, UnitRate]
    memory: Memory
    advertised: tuple[Advertised, ...] = ()
    provenance: tuple[MachineConstant, ...] = ()
    ranges: dict[str, tuple[float, float]] = field(default_factory=dict)

    def constants(self) -> tuple[MachineConstant, ...]:
        """Every constant with its value, source and confidence, in the order of the file."""
        return self.provenance

    def macs_per_s(self, dtype: str) -> float:
        """Dense peak of all units together.

        Raises UnsupportedError for a dtype the chip has no figure for.
        """
        if dtype not in self.compute:
            raise UnsupportedError(
                f"target {self.name}",
                expected=f"a model of dtype {', '.join(sorted(self.compute))}",
                got=dtype,
                change="convert the model, e.g. weft compare MODEL --dtype bfloat16",
            )
        return self.units * self.compute[dtype].macs_per_cycle * self.clock_hz

    def peak_flops(self, dtype: str) -> float:
        """`macs_per_s` in FLOP/s."""
        return _FLOPS_PER_MAC * self.macs_per_s(dtype)
