"""Plain inference: arrays and tensors give the same rows, anything else is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from weft.backend.errors import UserError
from weft.runtime.training.predict import as_rows, write_predictions

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


@pytest.mark.parametrize("names", [["prediction"], ["prediction_0", "prediction_1"]])
def test_predictions_are_written_by_name(names: list[str], tmp_path: Path) -> None:
    write_predictions([ROWS + number for number in range(len(names))], tmp_path / "p.npz")
    with np.load(tmp_path / "p.npz") as found:
        assert list(found) == names
        for number, name in enumerate(names):
            np.testing.assert_array_equal(found[name], ROWS + number)
    assert [file.name for file in tmp_path.iterdir()] == ["p.npz"]
