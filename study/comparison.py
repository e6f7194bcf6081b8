"""A comparison of machines as a table."""

from __future__ import annotations

from typing import Any

from ..backend.frame import frame
from ..backend.shown import Shown
from ..compiler.plan.evidence import bar_text
from ..compiler.plan.text.numbers import duration, percent, quantity, table
from .compare import Figures, MachineRow

_HEADERS = (
    "target",
    "basis",
    "batch",
    "samples/s",
    "latency",
    "memory",
    "of peak",
    "bound by",
    "constants",
)
_NOTES = (
    "simulated: compiled, one sample at a time; at best: peak arithmetic or memory bandwidth,"
    " perfect kernels.\n(-9 % .. +14 %): where nine in ten of such figures lie (weft explain"
    " PLAN --evidence).\nmemory: of the fullest PE, or of the chip. of peak: multiply-adds"
    " done, of the dense peak.\nconstants: how many are published, derived or fitted, from"
    " memory or assumed."
)


class Comparison(tuple[MachineRow, ...], Shown):
    """A model on several machines, a row each; prints as a table."""

    __slots__ = ()

    def __repr__(self) -> str:
        """One line: machines and rates."""
        return f"Comparison({', '.join(map(_in_short, self))})"

    def __str__(self) -> str:
        return self.summary()

    def summary(self) -> str:
        """The table; below it why machines are left out or slower, and what its columns hold."""
        whys = [f"{row.target} does not fit: {row.reason}" for row in self if row.figures is None]
        slower = [text for row in self for text in (row.slower, row.spread) if text]
        unranked = [
            f"{row.target} is not ranked: assumed constants alone are behind its rate"
            for row in self
            if row.figures is not None and row.figures.assumed
        ]
        rows = table(_HEADERS, [_line(row) for row in self])
        return "\n".join((rows, "", *whys, *slower, *unranked, _NOTES))

    def to_frame(self) -> Any:
        """A pandas DataFrame with a row for each machine. Raises UserError without pandas."""
        return frame(row.to_dict() for row in self)


def _in_short(row: MachineRow) -> str:
    if row.figures is None:
        return f"{row.target} does not fit"
    return f"{row.target} {quantity(row.figures.throughput_samples_per_s)} samples/s"


def _line(row: MachineRow) -> tuple[object, ...]:
    figures = row.figures
    if figures is None:
        return (row.target, row.basis, row.batch, *("-",) * 4, "does not fit", _firmness(row))
    return (
        *(row.target, row.basis, row.batch),
        quantity(figures.throughput_samples_per_s) + _bar(figures, "throughput_samples_per_s"),
        duration(figures.latency_s) + _bar(figures, "latency_s"),
        percent(figures.memory_share),
        *(percent(figures.utilisation), figures.bound_by, _firmness(row)),
    )


def _bar(figures: Figures, name: str) -> str:
    """Empty for a roofline, which is a bound."""
    bar = figures.error_bars.get(name)
    return bar_text(getattr(figures, name), *bar) if bar else ""


def _firmness(row: MachineRow) -> str:
    """Published; derived or fitted; from memory or assumed."""
    groups = (("published",), ("derived", "fitted"), ("memory", "assumed"))
    return " / ".join(str(sum(row.confidence.get(k, 0) for k in group)) for group in groups)
