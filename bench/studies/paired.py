"""Two methods seed by seed: what differs between seeds alike drops out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from statistics import fmean, stdev

from .training import Record

_MOST = 16
"""Pairs up to which all sign patterns are tried."""


@dataclass(frozen=True)
class Paired:
    """Accuracy of one method less that of another, over the seeds that both have.

    `error` is the standard error of the mean, NaN for a single seed. `chance` is the two-sided
    p-value of the sign-flip test: the share of all 2**n choices of signs of the differences whose
    mean is at least as far from 0; it assumes nothing but symmetry, and is at least 2 / 2**n.
    NaN without seeds, and for more than 16.
    """

    seeds: tuple[int, ...]
    mean: float
    error: float
    better: int
    equal: int
    worse: int
    chance: float


def paired(records: Sequence[Record], method: str, other: str) -> Paired:
    """`method` less `other`. A run that diverged counts with the accuracy it has."""
    of = {(record.method, record.seed): record.accuracy for record in records}
    seeds = sorted(seed for name, seed in of if name == method and (other, seed) in of)
    gaps = [of[method, seed] - of[other, seed] for seed in seeds]
    return Paired(
        tuple(seeds),
        fmean(gaps) if gaps else math.nan,
        stdev(gaps) / math.sqrt(len(gaps)) if len(gaps) > 1 else math.nan,
        better=sum(gap > 0 for gap in gaps),
        equal=sum(gap == 0 for gap in gaps),
        worse=sum(gap < 0 for gap in gaps),
        chance=_chance(gaps),
    )


def _chance(gaps: Sequence[float]) -> float:
    if not 0 < len(gaps) <= _MOST:
        return math.nan
    seen = abs(sum(gaps)) - 1e-12
    patterns = product((1, -1), repeat=len(gaps))
    sums = [abs(_dot(signs, gaps)) for signs in patterns]
    return sum(total >= seen for total in sums) / len(sums)


def _dot(signs: Sequence[int], gaps: Sequence[float]) -> float:
    return sum(sign * gap for sign, gap in zip(signs, gaps, strict=True))
