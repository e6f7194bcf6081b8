"""What does not fit, as a document: demand, bound, gap, who contributes, and what would help."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property

from ...backend.errors import InfeasibleError


@dataclass(frozen=True)
class Contributor:
    """A tensor class or a stage and how much of the demand is its."""

    name: str
    amount: int


@dataclass(frozen=True)
class ProposedLever:
    """A change and the demand predicted for it, against the bound it would meet.

    `unit` is that of both; empty if it is the report's.
    """

    change: str
    predicted: int
    bound: int
    unit: str = ""

    @property
    def fits(self) -> bool:
        return self.predicted <= self.bound


@dataclass(frozen=True)
class InfeasibleReport:
    """Why a stage or a whole network does not fit its target, in one unit.

    `try_levers` prices what would help; it runs when somebody reads `levers`.
    """

    subject: str
    target: str
    demand: int
    bound: int
    unit: str
    contributors: tuple[Contributor, ...]
    try_levers: Callable[[], Iterable[ProposedLever]] = tuple

    @cached_property
    def levers(self) -> tuple[ProposedLever, ...]:
        """Changes, and the demand predicted for each."""
        return tuple(self.try_levers())

    @property
    def gap(self) -> int:
        return self.demand - self.bound

    def text(self) -> str:
        """The report as lines of text, the largest contributor and the best lever first."""
        largest = sorted(self.contributors, key=lambda c: (-c.amount, c.name))
        best = sorted(self.levers, key=self._distance)
        lines = [
            f"{self.subject} does not fit {self.target}",
            f"  demand {self.demand:,} {self.unit}, bound {self.bound:,}, gap {self.gap:,}",
            "  contributors:",
            *(f"    {c.amount:>14,} {self.unit}  {c.name}" for c in largest),
            "  levers, with the demand predicted for each:",
            *map(self._line, best),
        ]
        return "\n".join(lines)

    def _line(self, lever: ProposedLever) -> str:
        return f"    {lever.predicted:>14,} {lever.unit or self.unit}  {_verdict(lever)}"

    def _distance(self, lever: ProposedLever) -> tuple[bool, float, str]:
        """Levers that fit first; a stage that does not fit its PEs is further from it than PEs."""
        other_unit = bool(lever.unit) and lever.unit != self.unit
        away = lever.predicted / lever.bound
        is_worse = other_unit and lever.unit.startswith("bytes")
        return not lever.fits, away + (1e9 if is_worse else 0.0), lever.change

    def error(self) -> InfeasibleError:
        """The exception that carries this report."""
        return InfeasibleError(
            f"{self.subject} on {self.target}",
            expected=f"at most {self.bound:,} {self.unit}",
            got=f"{self.demand:,} {self.unit} ({self.gap:,} too many)",
            change=self._change,
            report=self.text,
        )

    def _change(self) -> str:
        helpful = [lever.change for lever in self.levers if lever.fits]
        return "; or ".join(helpful) or "combine several of the levers in the report"


def _verdict(lever: ProposedLever) -> str:
    outcome = "fits" if lever.fits else f"still {lever.predicted - lever.bound:,} too many"
    return f"{lever.change} ({outcome})"
