"""A predicted figure with its error bar and what it is made of."""

from __future__ import annotations

from dataclasses import dataclass, replace
from statistics import median

from ...targets.constant import MachineConstant
from .rows import EvidenceRow

SOFT = frozenset({"assumed", "memory"})
"""Confidences of constants that nothing stands behind."""


@dataclass(frozen=True)
class Term:
    """A mechanism that a figure is made of.

    `share` is of the figure's cycles. `support` is in how many sets the mechanism was measured (see
    Calibration), `rows` those measurements; `constants` set its pace on the plan's target.
    """

    mechanism: str
    share: float
    support: float
    rows: tuple[EvidenceRow, ...]
    constants: tuple[MachineConstant, ...]

    @property
    def sets(self) -> tuple[str, ...]:
        """Names of the sets of the rows."""
        return tuple(dict.fromkeys(row.set_name for row in self.rows))

    @property
    def soft_constants(self) -> tuple[MachineConstant, ...]:
        """Those that are assumed or from memory."""
        return tuple(c for c in self.constants if c.confidence in SOFT)

    @property
    def is_assumed(self) -> bool:
        """Nothing measured, and every constant assumed or from memory."""
        return not self.rows and len(self.soft_constants) == len(self.constants)

    @property
    def median_error(self) -> float | None:
        """Of the rows that it is at least half of; None without one."""
        errors = self._errors
        return median(errors) if errors else None

    @property
    def worst_error(self) -> float | None:
        """As `median_error`, the largest."""
        return max(self._errors, default=None)

    @property
    def _errors(self) -> list[float]:
        name = self.mechanism
        return [abs(row.error) for row in self.rows if row.terms[name] >= 1 / 2]


@dataclass(frozen=True)
class Figure:
    """`value` with the interval that covers the measured one nine times in ten, in `unit`."""

    value: float
    low: float
    high: float
    unit: str
    terms: tuple[Term, ...]

    @property
    def is_assumed(self) -> bool:
        """Whether it rests on assumed constants alone, of mechanisms that nobody measured."""
        return bool(self.terms) and all(term.is_assumed for term in self.terms)

    def inverse(self, one: float, unit: str) -> Figure:
        """`one` over it: a rate of an interval."""
        value, low, high = (one / of if of else 0.0 for of in (self.value, self.high, self.low))
        return replace(self, value=value, low=low, high=high, unit=unit)

    def times(self, factor: float, unit: str) -> Figure:
        """It in another unit."""
        value, low, high = (factor * of for of in (self.value, self.low, self.high))
        return Figure(value, low, high, unit, self.terms)

    def at(self, value: float) -> Figure:
        """Another value of the same figure, as far off as it."""
        return self.times(value / self.value if self.value else 0.0, self.unit)

    def bar(self) -> str:
        """' (-9 % .. +14 %)', to follow the value; empty where nothing is known of it."""
        if not self.terms:
            return ""
        return bar_text(self.value, self.low, self.high, self.is_assumed)


def bar_text(value: float, low: float, high: float, is_assumed: bool = False) -> str:
    """' (-9 % .. +14 %)', to follow the value; empty for a value of zero."""
    if not value:
        return ""
    below, above = (of / value - 1 for of in (low, high))
    assumed = ", assumed constants alone" if is_assumed else ""
    return f" ({below * 100:+.0f} % .. {above * 100:+.0f} %{assumed})"
