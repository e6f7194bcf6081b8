"""Mean and spread over seeds."""

from __future__ import annotations

import math

import numpy as np
import pytest
from helpers.study_records import RECORDS
from weft.bench.studies.summary import Spread, cells
from weft.bench.studies.training import SEQUENTIAL


def test_spread_is_mean_and_sample_deviation() -> None:
    values = [0.5, 0.7, 0.75, 0.2]
    spread = Spread.of(values)
    assert spread.mean == pytest.approx(np.mean(values))
    assert spread.deviation == pytest.approx(np.std(values, ddof=1))
    assert math.isnan(Spread.of([1.0]).deviation)


def test_cells_group_by_method_and_rate() -> None:
    found = cells(RECORDS)
    assert list(found) == [(SEQUENTIAL, 1.0), ("sc", 1.0), ("none", 4.0)]
    assert found["sc", 1.0].loss == Spread.of([0.6, 1.0])
    lost = found["none", 4.0]
    assert (lost.diverged, lost.loss.mean) == (1, math.inf)
