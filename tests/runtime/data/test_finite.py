"""Numbers that are not finite are refused, wherever arrays come from."""

from __future__ import annotations

import numpy as np
import pytest
from weft.backend.errors import UserError
from weft.runtime.data import Wanted, as_splits
from weft.runtime.data.finite import check_finite

X, Y = np.zeros((6, 2), np.float32), np.zeros(6, np.int64)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e300])
def test_they_are_counted_and_the_first_is_named(value: float) -> None:
    array = X.astype(np.float64)
    array[4] = value
    with pytest.raises(UserError, match="finite numbers in x") as refused:
        check_finite("data", "x", array)
    assert refused.value.got == "2 of 12 are not; the first is in row 4"


@pytest.mark.parametrize("array", [X, Y, np.zeros((), np.float32), np.zeros((0, 3))])
def test_others_pass(array: np.ndarray) -> None:
    check_finite("data", "x", array)


def test_arrays_of_a_program_are_looked_at_too() -> None:
    wanted, bad = Wanted(("x", "y"), (2,), 0), X.copy()
    bad[0, 0] = np.nan
    as_splits((X, Y), wanted)
    with pytest.raises(UserError, match="finite numbers in x"):
        as_splits((bad, Y), wanted)
