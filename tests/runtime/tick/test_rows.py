"""Rows of dispatches: of samples that were fed and have come out, and no others."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from weft.runtime.tick.job import Stream
from weft.runtime.tick.rows import came_out, joined, padded


@given(st.integers(-5, 20), st.integers(0, 15), st.integers(0, 10), st.integers(0, 9))
def test_rows_are_those_of_samples_that_were_fed(oldest: int, first: int, count: int, ticks: int):
    rows = np.arange(oldest, oldest + 9.0)  # each row is the number of its sample
    fed = range(first, first + count)
    found = came_out(rows, oldest, fed, ticks)
    expected = [n for n in range(oldest, oldest + ticks) if n in fed]
    assert found.values.tolist() == expected
    if expected:
        assert found.first == expected[0]


def test_streams_that_follow_each_other_are_one() -> None:
    parts = [
        [Stream(0, np.empty(0)), Stream(0, np.empty(0))],
        [Stream(3, np.array([1.0])), Stream(3, np.array([10.0]))],
        [Stream(4, np.array([2.0])), Stream(4, np.array([20.0]))],
    ]
    found = joined(parts, 2)
    assert (found.losses.first, found.losses.values.tolist()) == (3, [1.0, 2.0])
    assert found.predictions[0].values.tolist() == [10.0, 20.0]
    assert len(joined(parts[:1], 2).losses.values) == 0


def test_zeros_are_padded_behind() -> None:
    found = padded(np.ones((2, 3), np.float32), 4)
    assert found.dtype == np.float32
    assert found.sum(1).tolist() == [3, 3, 0, 0]
