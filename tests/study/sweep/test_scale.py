"""Where values lie along an axis."""

from __future__ import annotations

import pytest
from weft.study.sweep.scale import scale_of


@pytest.mark.parametrize(
    ("values", "is_log", "places"),
    [
        ([0, 5, 10], False, [0.0, 0.5, 1.0]),
        ([1, 10, 100], True, [0.0, 0.5, 1.0]),
        ([-1, 1], False, [0.0, 1.0]),
        ([3], False, [0.5]),
        ([0], False, [0.5]),
        (["a", "b"], False, [0.25, 0.75]),
        ([True, False], False, [0.25, 0.75]),
    ],
)
def test_values_lie_evenly_or_by_their_logarithm(values, is_log, places) -> None:
    scale = scale_of("x", values)
    assert scale.is_log == is_log
    assert [scale.at(value) for value in values] == pytest.approx(places)
