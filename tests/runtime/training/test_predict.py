"""Plain inference: arrays and tensors give the same rows, anything else is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from weft.backend.errors import UserError
from weft.runtime.training.predict import as_rows

ROWS = np.arange(6.0, dtype=np.float32).reshape(2, 3)


@pytest.mark.parametrize(
    "given", [ROWS, [ROWS], (ROWS,), torch.from_numpy(ROWS), [torch.from_numpy(ROWS)]]
)
def test_one_input_in_every_form(given: Any) -> None:
    (rows,) = as_rows(given)
    np.testing.assert_array_equal(rows, ROWS)


UNFIT = {
    "masked": (np.ma.masked_greater(ROWS, 1.0), "masked entries"),
    "complex": ([ROWS * 1j], "complex64"),
    "a name": ("digits", "type str"),
    "nothing": (None, "type NoneType"),
    "a number": (np.float32(1), "a single number"),
    "no rows": (ROWS[:0], "without rows"),
    "a sparse tensor": (torch.from_numpy(ROWS).to_sparse(), "to_dense"),
}


@pytest.mark.parametrize("name", UNFIT)
def test_what_has_no_rows_of_numbers_is_refused(name: str) -> None:
    given, got = UNFIT[name]
    with pytest.raises(UserError, match=got):
        as_rows(given)
