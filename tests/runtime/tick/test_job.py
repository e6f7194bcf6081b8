"""Results have one row per sample, whatever their shape."""

from __future__ import annotations

import numpy as np
import pytest
from weft.runtime.tick.job import to_rows


@pytest.mark.parametrize(
    ("shape", "rows"), [((1, 3), (4, 3)), ((2, 3), (4, 2, 3)), ((1,), (4,)), ((), (4,))]
)
def test_each_value_is_a_row(shape, rows):
    values = [np.full(shape, float(number)) for number in range(4)]
    made = to_rows(values)
    assert made.shape == rows
    assert [float(row.max()) for row in made] == [0.0, 1.0, 2.0, 3.0]
