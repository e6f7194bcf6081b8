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


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([1, 2, 4], ["1", "2", "4"]),
        ([0.85e9, 1.0e9, 1.1e9, 1.1e9], ["850 M", "1 G", "1.1 G"]),
        ([1000, 1001, 1235], ["1,000", "1,059", "1,118", "1,176", "1,235"]),
        ([True, False], ["True", "False"]),
    ],
)
def test_a_few_values_are_written_themselves_and_of_many_five_between(values, said) -> None:
    assert [text for _, text in scale_of("x", values).ticks] == said
