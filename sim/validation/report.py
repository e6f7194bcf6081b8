"""What a validation yields: a point per measured number, a summary per set, trends, omissions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from ...backend.frame import frame
from ...backend.shown import Shown
from ...compiler.plan.evidence import Coverage, EvidenceRow
from ...compiler.plan.text.numbers import percent, table
from .tables import USER_SET


@dataclass(frozen=True)
class MeasuredPoint:
    """One measured number (cycles, or a speed-up) beside the simulated one.

    `fitted`: a constant of the target file was fitted on this row. `kind` is what it was measured
    on. `pinned`: the simulated number is the cycles of an operator's record in a plan pinned to the
    measured algorithm; `chosen`: the mapper by itself makes that record too.
    """

    set_name: str
    kernel: str
    quantity: str
    settings: str
    measured: float
    simulated: float
    fitted: bool
    kind: str = ""
    pinned: bool = False
    chosen: bool = False

    @property
    def error(self) -> float:
        """Simulated over measured, less one."""
        return self.simulated / self.measured - 1


@dataclass(frozen=True)
class Bar:
    """How far the simulator may be off: median and worst, as shares. None: not promised."""

    median: float | None
    worst: float | None


@dataclass(frozen=True)
class ErrorSummary:
    """Absolute relative errors of one quantity of one set, and how many of its numbers are records
    of plans: pinned to the measured algorithm, or chosen by the mapper too. `spread` is how far
    apart measured rows are for which the same is predicted: builds of one kernel differ so."""

    set_name: str
    quantity: str
    kind: str
    rows: int
    fitted_rows: int
    pinned_rows: int
    chosen_rows: int
    spread: float
    median_error: float
    worst_error: float
    worst_settings: str
    median_error_unfitted: float | None
    worst_error_unfitted: float | None
    bar: Bar

    @property
    def passed(self) -> bool:
        """Within its bar, where there is one."""
        errors = ((self.bar.median, self.median_error), (self.bar.worst, self.worst_error))
        return all(limit is None or error <= limit for limit, error in errors)


@dataclass(frozen=True)
class Trend:
    """Something the measurements show that the simulation must show too."""

    name: str
    measured: str
    simulated: str
    passed: bool


@dataclass(frozen=True)
class Omission:
    """A measured row that does not count, and why; how far off a prediction of it is nevertheless,
    if there is one."""

    set_name: str
    settings: str
    reason: str
    error: float | None = None


@dataclass(frozen=True, repr=False)
class ValidationReport(Shown):
    """All of it; `whole` if every shipped set is in.

    `coverages` say how often the error bars that come with weft were right; `stale` counts the
    numbers that they were made from and that are predicted otherwise now. `whole_plans` are the
    measured runs that whole plans were compiled and simulated for.

    `passed` asks for every summary within its bar, every trend, and of the whole the median, the
    error bars' coverage, and that they are of this model.
    """

    points: tuple[MeasuredPoint, ...]
    summaries: tuple[ErrorSummary, ...]
    trends: tuple[Trend, ...]
    omissions: tuple[Omission, ...]
    whole: bool
    coverages: tuple[Coverage, ...] = ()
    stale: int = 0
    whole_plans: tuple[EvidenceRow, ...] = ()

    @property
    def median_error(self) -> float:
        """Median of the absolute errors of all points."""
        return median(abs(point.error) for point in self.points) if self.points else 0.0

    def uncounted(self) -> tuple[float, ...]:
        """Errors of predictions that do not count: of rows whose source leaves something open."""
        return tuple(one.error for one in self.omissions if one.error is not None)

    def through_plans(self) -> tuple[int, int]:
        """How many numbers are records of plans: mapped by the mapper's own choice, and pinned."""
        chosen = sum(point.chosen for point in self.points)
        return chosen, sum(point.pinned for point in self.points)

    @property
    def passed(self) -> bool:
        within = not self.whole or self.median_error <= MEDIAN_BAR
        judged = (*self.summaries, *self.trends, *self.coverages)
        return within and not self.stale and all(item.passed for item in judged)

    def __repr__(self) -> str:
        """One line: how many numbers, how far off."""
        within = "within its bars" if self.passed else "a bar is missed"
        error = percent(self.median_error)
        return f"ValidationReport({len(self.points)} numbers, median error {error}, {within})"

    def summary(self) -> str:
        """A row for each set and quantity: numbers, median and worst error."""
        rows = [
            (
                *(s.set_name, s.quantity, s.rows, percent(s.median_error)),
                *(percent(s.worst_error), "yes" if s.passed else "NO"),
            )
            for s in self.summaries
        ]
        return table(("set", "quantity", "numbers", "median", "worst", "within its bar"), rows)

    def to_frame(self) -> Any:
        """A pandas DataFrame with a row for each number. Raises UserError without pandas."""
        return frame(asdict(point) | {"error": point.error} for point in self.points)

    def to_dict(self) -> dict[str, Any]:
        """Plain data, for JSON."""
        return {
            "median_error": self.median_error,
            "passed": self.passed,
            "summaries": [asdict(s) | {"passed": s.passed} for s in self.summaries],
            "trends": [asdict(trend) for trend in self.trends],
            "error_bars": [asdict(c) | {"passed": c.passed} for c in self.coverages],
            "stale_error_bars": self.stale,
            "whole_plans": [asdict(r) | {"error": r.error} for r in self.whole_plans],
            "not_simulated": [asdict(omission) for omission in self.omissions],
            "points": [asdict(point) | {"error": point.error} for point in self.points],
        }


MEDIAN_BAR = 0.04  # over all points of all shipped sets together
_WHOLE_CYCLES = Bar(median=None, worst=0.10)
_USERS = Bar(median=0.03, worst=0.15)  # kernels that weft has rows of, at other sizes and sites
_BARS: dict[tuple[str, str], Bar] = {
    ("reduce", "cycles"): Bar(median=0.02, worst=0.02),
    ("spmm", "cycles_avg"): Bar(median=0.02, worst=0.02),
    ("spmm", "cycles_max"): Bar(median=None, worst=0.06),
    ("sparse_speedup", "speedup_measured"): Bar(median=None, worst=0.03),
    ("training", "samples_per_s"): Bar(median=None, worst=0.30),
}
_WHOLE_CYCLE_SETS = (
    "gemm",
    "gemv",
    "gemv_chain",
    "shift",
    "summa",
    "fmach",
    "decode",
    "decode_blocks",
)


def summarise(points: Sequence[MeasuredPoint]) -> tuple[ErrorSummary, ...]:
    """One summary per set and quantity, in order of appearance."""
    keys = dict.fromkeys((point.set_name, point.quantity) for point in points)
    return tuple(
        _summary([p for p in points if (p.set_name, p.quantity) == key], *key) for key in keys
    )


def _summary(points: Sequence[MeasuredPoint], set_name: str, quantity: str) -> ErrorSummary:
    worst = max(points, key=lambda point: abs(point.error))
    unfitted = [abs(point.error) for point in points if not point.fitted]
    default = _WHOLE_CYCLES if set_name in _WHOLE_CYCLE_SETS else Bar(None, None)
    default = _USERS if set_name == USER_SET else default
    return ErrorSummary(
        set_name=set_name,
        quantity=quantity,
        kind=", ".join(dict.fromkeys(point.kind for point in points)),
        rows=len(points),
        pinned_rows=sum(point.pinned for point in points),
        chosen_rows=sum(point.chosen for point in points),
        spread=_spread(points),
        fitted_rows=sum(point.fitted for point in points),
        median_error=median(abs(point.error) for point in points),
        worst_error=abs(worst.error),
        worst_settings=worst.settings,
        median_error_unfitted=median(unfitted) if unfitted else None,
        worst_error_unfitted=max(unfitted) if unfitted else None,
        bar=_BARS.get((set_name, quantity), default),
    )


def _spread(points: Sequence[MeasuredPoint]) -> float:
    """The largest distance of measured numbers whose predictions are within a hundredth, what the
    predictions differ by taken off."""
    ordered = sorted(points, key=lambda point: (point.kernel, point.simulated))
    found = 0.0
    for index, one in enumerate(ordered):
        for other in ordered[index + 1 :]:
            same = other.kernel == one.kernel and other.simulated <= 1.01 * one.simulated
            if not same:
                break
            found = max(found, abs(math.log((1 + one.error) / (1 + other.error))))
    return math.expm1(found)
