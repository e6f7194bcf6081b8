"""How often error bars were right: each set of measurements left out in turn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from .calibration import Calibration
from .rows import EvidenceRow

ALL = "all"
ALL_COVERED, SET_COVERED, MEDIAN_HALF_WIDTH = (0.85, 0.95), 0.75, 0.08
"""Bars: the share of all rows that is covered, that of each set at least, and the half-width of the
bars of all rows in the median."""


@dataclass(frozen=True)
class Coverage:
    """How many measured numbers of a set lie within the error bars that all other sets give, and
    half the width of these bars in the median."""

    set_name: str
    rows: int
    covered: int
    half_width: float

    @property
    def share(self) -> float:
        """Of the rows that is covered."""
        return self.covered / self.rows

    @property
    def passed(self) -> bool:
        """Within the bars."""
        if self.set_name != ALL:
            return self.share >= SET_COVERED
        least, most = ALL_COVERED
        return least <= self.share <= most and self.half_width <= MEDIAN_HALF_WIDTH


def coverage(rows: Sequence[EvidenceRow]) -> tuple[Coverage, ...]:
    """Of each set, and of all rows together."""
    whole = Calibration(tuple(rows))
    found: dict[str, list[tuple[bool, float]]] = {}
    for name in dict.fromkeys(row.set_name for row in rows):
        others = whole.without(name)
        own = (row for row in rows if row.set_name == name)
        found[name] = [(others.covers(row), others.half_width(row)) for row in own]
    every = [judged for group in found.values() for judged in group]
    return tuple(
        Coverage(name, len(of), sum(covered for covered, _ in of), median(w for _, w in of))
        for name, of in (*found.items(), (ALL, every))
    )
