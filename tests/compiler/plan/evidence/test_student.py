"""Student's quantile, held against scipy's."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.special import ndtri, stdtrit
from weft.compiler.plan.evidence.student import LARGEST, inflation


@pytest.mark.parametrize("covered", [0.5, 0.9, 0.99])
def test_the_ratio_is_that_of_scipys_quantiles(covered: float) -> None:
    for degrees in np.geomspace(0.01, 300, 60).tolist():
        level = 0.5 + covered / 2
        expected = float(stdtrit(degrees, level) / ndtri(level))
        if expected > LARGEST:
            assert inflation(degrees, covered) == math.inf
        else:
            assert inflation(degrees, covered) == pytest.approx(expected, rel=1e-9)


def test_without_degrees_of_freedom_nothing_is_known() -> None:
    assert inflation(0.0, 0.9) == math.inf
