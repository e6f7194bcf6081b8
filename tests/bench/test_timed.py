"""The median of rounds."""

from __future__ import annotations

import itertools
import time

import pytest
from weft.bench.timed import median_s


def test_one_slow_round_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = itertools.accumulate([0, 1, 0, 1, 0, 90])  # rounds of 1, 1 and 90 seconds
    monkeypatch.setattr(time, "process_time", lambda: float(next(clock)))
    called: list[int] = []
    assert median_s(lambda: called.append(0), 3) == 1.0
    assert len(called) == 3
