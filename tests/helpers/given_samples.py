"""Samples as a user gives them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from helpers.rows import X, Y
from torch.utils.data import Dataset as TorchDataset
from weft.runtime.data import Samples, Wanted, rows_of

TX, TY = torch.from_numpy(X), torch.from_numpy(Y)


WANTED = Wanted(("x", "y"), (4,), seed=0)


class Rows(TorchDataset):
    """Items that are dicts."""

    def __len__(self) -> int:
        return len(X)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return {"y": int(Y[index]), "x": TX[index], "id": index}


def holds(samples: Samples | None, x: np.ndarray, y: np.ndarray) -> None:
    assert samples is not None
    assert len(samples) == len(x)
    for got, expected in zip(rows_of(samples), (x, y), strict=True):
        np.testing.assert_array_equal(got, expected)
    assert [form.shape for form in samples.forms] == [(4,), ()]
