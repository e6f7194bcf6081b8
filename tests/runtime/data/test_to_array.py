"""One value that a user gave, as an array of numbers."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
import torch
from weft.backend.errors import UserError
from weft.runtime.data.to_array import to_array

ROWS = np.arange(6.0).reshape(2, 3)
TENSOR = torch.from_numpy(ROWS)


def nested() -> torch.Tensor:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's, of a prototype
        return torch.nested.nested_tensor([TENSOR, TENSOR[:1]])


@pytest.mark.parametrize(
    "value",
    [
        ROWS,
        np.asfortranarray(ROWS),
        np.ma.masked_array(ROWS),
        TENSOR.clone().requires_grad_(),
        TENSOR.bfloat16(),
        TENSOR.T.contiguous().T,
        torch.complex(0 * TENSOR, -TENSOR).conj().imag,
    ],
)
def test_numbers_stay_what_they_are(value: Any) -> None:
    np.testing.assert_array_equal(to_array("data", value), ROWS)


UNFIT = {
    "sparse": (TENSOR.to_sparse(), r"sparse_coo|x\.to_dense"),
    "nested": (nested(), "to_padded_tensor"),
    "quantized": (torch.quantize_per_tensor(TENSOR.float(), 1.0, 0, torch.quint8), "dequantize"),
    "without values": (TENSOR.to("meta"), r"device meta, of shape \(2, 3\)"),
    "masked": (np.ma.masked_greater(ROWS, 4.0), "with 1 masked entries"),
    "words": ("cat", "a value of type str"),
    "objects": (np.array([None]), "an array of object"),
    "complex": (TENSOR * 1j, "an array of complex128"),
}


@pytest.mark.parametrize("name", UNFIT)
def test_what_has_no_dense_numbers_is_refused(name: str) -> None:
    value, got = UNFIT[name]
    with pytest.raises(UserError, match=got):
        to_array("data", value)
