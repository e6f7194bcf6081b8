"""Peak arithmetic: what a target's constants add up to, against what the vendor prints.

The clock is the least certain constant, so every rate is a bracket from `clock_hz` to
`clock_max_hz`; a row passes if the advertised figure lies in that bracket, widened by the row's
tolerance.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from ...backend.errors import UnknownNameError
from .roofline import Roofline
from .target import Advertised, Target

_LINKS_PER_PE = 4
_WAYS_PER_LINK = 2
_OPERATIONS_PER_MAC = 2


@dataclass(frozen=True)
class FigureRow:
    """One advertised figure and our arithmetic for it, at the working and the maximum clock."""

    target: str
    quantity: str
    unit: str
    formula: str
    computed: float
    computed_at_max_clock: float
    advertised: float
    tolerance: float
    source: str

    @property
    def passed(self) -> bool:
        low, high = sorted((self.computed, self.computed_at_max_clock))
        return low * (1 - self.tolerance) <= self.advertised <= high * (1 + self.tolerance)

    @property
    def ratio(self) -> float:
        """Computed over advertised, at the working clock."""
        return self.computed / self.advertised


def peak_flops(target: Target, dtype: str, clock_hz: float) -> float:
    """Dense peak of all advertised cores in FLOP/s: cores x MACs per cycle x 2 x clock."""
    macs = target.arithmetic(dtype).macs_per_cycle
    return target.grid.advertised_cores * macs * _OPERATIONS_PER_MAC * clock_hz


def sram_bytes(target: Target) -> float:
    """Bytes of SRAM of all advertised cores."""
    return target.grid.advertised_cores * target.sram.bytes_per_pe


def sram_bytes_per_s(target: Target, clock_hz: float) -> float:
    """Reads and writes of all advertised cores together, in bytes per second."""
    per_cycle = target.sram.read_bytes_per_cycle + target.sram.write_bytes_per_cycle
    return target.grid.advertised_cores * per_cycle * clock_hz


def fabric_bits_per_s(target: Target, clock_hz: float) -> float:
    """Four links, both ways, of all advertised cores, in bits per second."""
    per_cycle = _LINKS_PER_PE * _WAYS_PER_LINK * target.noc.link_bytes_per_cycle * 8
    return target.grid.advertised_cores * per_cycle * clock_hz


_FORMULAS: dict[str, tuple[str, Callable[[Target, float], float]]] = {
    "sram_bytes": ("cores x bytes per PE", lambda t, _: sram_bytes(t)),
    "sram_bytes_per_s": ("cores x (read + write bytes) x clock", sram_bytes_per_s),
    "fabric_bits_per_s": ("cores x 4 links x 2 ways x link bits x clock", fabric_bits_per_s),
    "float16_flops": (
        "cores x MACs per cycle x 2 x clock",
        lambda t, clock: peak_flops(t, "float16", clock),
    ),
    "bfloat16_flops": (
        "cores x MACs per cycle x 2 x clock",
        lambda t, clock: peak_flops(t, "bfloat16", clock),
    ),
    "system_io_bits_per_s": ("host bytes per second x 8", lambda t, _: t.host.bytes_per_s * 8),
}


_ROOFLINE_FORMULAS: dict[str, tuple[str, Callable[[Roofline], float]]] = {
    f"{dtype}_flops": (
        "units x MACs per cycle x 2 x clock",
        partial(Roofline.peak_flops, dtype=dtype),
    )
    for dtype in ("float32", "float16", "bfloat16")
}


def check_target(target: Target | Roofline) -> tuple[FigureRow, ...]:
    """One row per advertised figure of the target file.

    Raises UnknownNameError for an advertised quantity without a formula here.
    """
    return tuple(_row(target, figure) for figure in target.advertised)


def _row(target: Target | Roofline, figure: Advertised) -> FigureRow:
    text, computed, at_max_clock = _computed(target, figure.quantity)
    return FigureRow(
        target=target.name,
        quantity=figure.quantity,
        unit=figure.unit,
        formula=text if figure.factor == 1 else f"{text} x {figure.factor:g}",
        computed=computed * figure.factor,
        computed_at_max_clock=at_max_clock * figure.factor,
        advertised=figure.value,
        tolerance=figure.tolerance,
        source=figure.source,
    )


def _computed(target: Target | Roofline, quantity: str) -> tuple[str, float, float]:
    """The formula in words, and its value at the working and the maximum clock."""
    known = _FORMULAS if isinstance(target, Target) else _ROOFLINE_FORMULAS
    if quantity not in known:
        raise UnknownNameError(
            f"advertised quantity of {target.name}", quantity, known, "weft targets"
        )
    if isinstance(target, Target):
        text, formula = _FORMULAS[quantity]
        return text, formula(target, target.clock_hz), formula(target, target.clock_max_hz)
    text, of = _ROOFLINE_FORMULAS[quantity]
    return text, of(target), of(target)
