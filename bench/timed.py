"""One measurement of `weft bench sim`."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Timed:
    """`value` is in `unit`, the median of `rounds`."""

    name: str
    what: str
    value: float
    unit: str
    rounds: int
    note: str = ""


def median_s(work: Callable[[], object], rounds: int) -> float:
    """Seconds of processor time of `work`, the median of `rounds`."""
    times = []
    for _ in range(rounds):
        started = time.process_time()
        work()
        times.append(time.process_time() - started)
    return statistics.median(times)
