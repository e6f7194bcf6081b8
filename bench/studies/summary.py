"""Mean and spread over seeds."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from .training import Record


@dataclass(frozen=True)
class Spread:
    """Mean and sample standard deviation (n - 1) of n values; NaN where there are too few."""

    mean: float
    deviation: float
    count: int

    @staticmethod
    def of(values: Sequence[float]) -> Spread:
        """The spread of some values; NaN and infinity among them stay in the mean."""
        return Spread(
            mean=fmean(values) if values else math.nan,
            deviation=stdev(values) if len(values) > 1 else math.nan,
            count=len(values),
        )


@dataclass(frozen=True)
class Cell:
    """One method at one learning rate, over its seeds; `diverged` counts runs given up."""

    method: str
    factor: float
    rate: float
    first_delay: int
    accuracy: Spread
    loss: Spread
    diverged: int


def cells(records: Iterable[Record]) -> dict[tuple[str, float], Cell]:
    """By method and factor, in the order of the records of the first seed.

    The loss of a run whose loss is not finite counts as infinite: its cell's mean says so.
    """
    groups: dict[tuple[str, float], list[Record]] = {}
    for record in records:
        groups.setdefault((record.method, record.factor), []).append(record)
    return {key: _cell(group) for key, group in groups.items()}


def _cell(group: Sequence[Record]) -> Cell:
    first = group[0]
    losses = [math.inf if record.loss is None else record.loss for record in group]
    return Cell(
        method=first.method,
        factor=first.factor,
        rate=first.rate,
        first_delay=first.first_delay,
        accuracy=Spread.of([record.accuracy for record in group]),
        loss=Spread.of(losses) if all(map(math.isfinite, losses)) else _infinite(len(losses)),
        diverged=sum(record.diverged for record in group),
    )


def _infinite(count: int) -> Spread:
    return Spread(math.inf, math.nan, count)
