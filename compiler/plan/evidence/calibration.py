"""From the errors of measured rows to an interval around a figure.

The interval around a figure that is made of several mechanisms is predicted x exp(+-q x scale):

    scale   sum over its mechanisms of share x inflation(support of the mechanism);
            of a whole plan no inflation is below that of whole plans (its row is scored by its
            mechanisms alone, so that this makes no other interval narrower), and the interval has
            room for the largest miss of a whole plan that was measured
    q       a quantile of |log(measured / predicted)| / scale over the measured rows

Every row is scored as if its set had not been measured: its prediction uses constants that were
fitted without its set, its scale the support that the other sets give (residuals of models fitted
without the group: Barber et al., arXiv:1905.02928; groups: Dunn et al., arXiv:1809.07441). A new
figure is like a new set, so the quantile's level is no fixed 90 %: it is the least at which, each
set left out in turn, the quantile of the others covers 90 % of all rows.

`support` is in how many sets a mechanism was measured, each by the largest share that it has of a
row there; sets of a related machine count half. `inflation` is what Student's quantile with so many
degrees of freedom is over the normal one: that of a spread known from few draws around zero. Its
limits for a mechanism that was hardly or never measured are conventions, not calibrated.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from ...targets.load import known_targets, vendor_of
from .mechanisms import CONSTANTS, WHOLE_PLAN, Mix
from .rows import EvidenceRow, evidence_rows
from .student import inflation

COVERED = 0.90
"""Share of figures that their intervals are meant to cover."""

FIRM_LIMIT, ASSUMED_LIMIT = 5.0, 10.0
"""Most that a mechanism is inflated, hardly or never measured: if all its constants are published,
derived or fitted, and if one is assumed or from memory."""

_RELATED = 0.5
_LEVELS = np.linspace(0.80, 1.0, 41)
_MECHANISMS = tuple(CONSTANTS)
_WHOLE = _MECHANISMS.index(WHOLE_PLAN)

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Calibration:
    """Intervals from `rows`."""

    rows: tuple[EvidenceRow, ...]

    def without(self, set_name: str) -> Calibration:
        """The same from the rows of all other sets."""
        return Calibration(tuple(row for row in self.rows if row.set_name != set_name))

    def interval(self, mix: Mix, target: str, assumed: frozenset[str]) -> tuple[float, float]:
        """Factors on predicted cycles, low and high. `assumed` are the mechanisms that rest on a
        constant that is assumed or from memory."""
        spread = self.quantile * self.scale(mix, target, assumed)
        if WHOLE_PLAN in mix:
            spread = max(spread, self._largest_miss(target))
        return math.exp(-spread), math.exp(spread)

    def covers(self, row: EvidenceRow) -> bool:
        """Whether a measured number lies in the interval around its held-out prediction."""
        return bool(abs(row.log_miss) <= self.quantile * self.scale_of(row))

    def half_width(self, row: EvidenceRow) -> float:
        """Of the interval around a measured number's prediction, as a share of it."""
        return math.sinh(self.quantile * self.scale_of(row))

    def scale_of(self, row: EvidenceRow) -> float:
        """Of a measured number; constants of its kernel count as firm."""
        return self.scale(row.terms, row.target, frozenset())

    def scale(self, mix: Mix, target: str, assumed: frozenset[str]) -> float:
        """By how much a figure is less sure than one whose mechanisms were all measured often."""
        inflations = dict(zip(_MECHANISMS, self._inflations(target), strict=True))
        limits = {name: ASSUMED_LIMIT if name in assumed else FIRM_LIMIT for name in mix}
        limited = {name: min(inflations[name], limits[name]) for name in mix}
        least = limited.pop(WHOLE_PLAN, 0.0)
        return sum(mix[name] * max(inflation, least) for name, inflation in limited.items())

    def support(self, mechanism: str, target: str) -> float:
        """In how many sets it was measured on `target`, those of related machines half."""
        return float(self._supports(target)[_MECHANISMS.index(mechanism)].sum())

    def rows_of(self, mechanism: str, target: str) -> tuple[EvidenceRow, ...]:
        """The rows behind the mechanism, on this machine or a related one."""
        known = {name for name in {row.target for row in self.rows} if _weight(name, target)}
        return tuple(r for r in self.rows if r.target in known and mechanism in r.terms)

    @cached_property
    def quantile(self) -> float:
        """Of |log(measured / predicted)| / scale, at the level that covers sets left out."""
        scores = _pooled(self._scores(()))
        if not len(scores):
            return 0.0
        covered = np.zeros(len(_LEVELS))
        for left_out in range(len(self._sets)):
            others = _pooled(self._scores((left_out,)))
            if len(others):
                found = np.quantile(others, _LEVELS, method="higher")
                own = self._scored(left_out, (left_out,))
                covered += (own[:, None] <= found).sum(0)
        enough = np.flatnonzero(covered >= COVERED * len(self.rows))
        level = _LEVELS[enough[0]] if len(enough) else 1.0
        return float(np.quantile(scores, level, method="higher"))

    def _scores(self, left_out: tuple[int, ...]) -> list[Floats]:
        """Of each set but those left out, as if it had not been measured either."""
        sets = (number for number in range(len(self._sets)) if number not in left_out)
        return [self._scored(number, (*left_out, number)) for number in sets]

    def _scored(self, of: int, left_out: tuple[int, ...]) -> Floats:
        """Scores of a set's rows by the support of all sets but those left out."""
        target, misses, shares = self._sets[of]
        inflations = np.minimum(self._inflations(target, left_out), FIRM_LIMIT)
        inflations[_WHOLE] = 0.0
        return misses / (shares @ inflations)

    def _inflations(self, target: str, left_out: tuple[int, ...] = ()) -> Floats:
        """Of every mechanism, without a limit."""
        return student(np.delete(self._supports(target), left_out, axis=1).sum(1))

    def _supports(self, target: str) -> Floats:
        """By mechanism and set."""
        if target not in self._known_supports:
            parts = [_weight(on, target) * shares.max(0) for on, _, shares in self._sets]
            self._known_supports[target] = (
                np.stack(parts, axis=1) if parts else np.zeros((len(_MECHANISMS), 0))
            )
        return self._known_supports[target]

    def _largest_miss(self, target: str) -> float:
        """Of the whole plans that were measured, as a logarithm; 0 if none was."""
        if target not in self._known_misses:
            measured = self.rows_of(WHOLE_PLAN, target)
            self._known_misses[target] = max((abs(row.log_miss) for row in measured), default=0.0)
        return self._known_misses[target]

    @cached_property
    def _known_misses(self) -> dict[str, float]:
        return {}

    @cached_property
    def _known_supports(self) -> dict[str, Floats]:
        return {}

    @cached_property
    def _sets(self) -> list[tuple[str, Floats, Floats]]:
        """Of each set its machine, the misses of its rows, and their shares by mechanism."""
        groups: dict[str, list[EvidenceRow]] = {}
        for row in self.rows:
            groups.setdefault(row.set_name, []).append(row)
        return [
            (
                of[0].target,
                np.abs([row.log_miss for row in of]),
                np.array([_shares(row.terms) for row in of]),
            )
            for of in groups.values()
        ]


def calibration() -> Calibration:
    """That of all rows that come with weft."""
    return _whole()


@lru_cache(maxsize=1)
def _whole() -> Calibration:
    return Calibration(evidence_rows())


def student(supports: Floats) -> Floats:
    """Student's quantile with so many degrees of freedom over the normal one; infinite without.

    >>> student(np.array([1.0, 2, 4, 8])).round(2).tolist()
    [3.84, 1.78, 1.3, 1.13]
    """
    return np.array([inflation(float(support), COVERED) for support in supports])


def _pooled(scores: list[Floats]) -> Floats:
    return np.concatenate(scores) if scores else np.zeros(0)


def _shares(terms: Mapping[str, float]) -> list[float]:
    return [terms.get(name, 0.0) for name in _MECHANISMS]


@lru_cache(maxsize=256)
def _weight(measured_on: str, target: str) -> float:
    """How much a set measured on one machine counts on another."""
    if measured_on == target:
        return 1.0
    is_related = target in known_targets() and _vendor(measured_on) == _vendor(target)
    return _RELATED if is_related else 0.0


@lru_cache(maxsize=64)
def _vendor(target: str) -> str:
    return vendor_of(target)
