"""One value that a user gave, as an array of numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from ...backend.errors import UserError


def to_array(where: str, value: Any) -> np.ndarray:
    """A tensor, an array, or what numpy makes one of; bfloat16 becomes float32.

    Raises UserError for what has no dense numbers: sparse, nested and quantized tensors, those
    without values, arrays with entries that are masked out, and objects.
    """
    if isinstance(value, torch.Tensor):
        return _of_tensor(where, value)
    if hasattr(value, "toarray"):
        got = f"a sparse {type(value).__name__} of shape {value.shape}"
        raise _not_dense(where, got, "x.toarray()")
    if np.ma.is_masked(value):
        got = f"an array of shape {value.shape} with {np.ma.count_masked(value):,} masked entries"
        raise _not_dense(where, got, "x.filled(0)")
    array = np.asarray(value)
    if array.dtype.kind not in "fiub":
        raise UserError(
            where,
            expected="real numbers",
            got=f"an array of {array.dtype}, from a value of type {type(value).__name__}",
            change="give numbers: number labels that are words from 0",
        )
    return array


def _of_tensor(where: str, value: torch.Tensor) -> np.ndarray:
    if value.is_nested:
        raise _not_dense(where, "a nested tensor", "torch.nested.to_padded_tensor(x, 0.0)")
    if value.layout != torch.strided:
        raise _not_dense(where, f"a tensor of layout {value.layout}", "x.to_dense()")
    if value.is_quantized:
        raise _not_dense(where, f"a quantized tensor of {value.dtype}", "x.dequantize()")
    if value.is_meta:
        got = f"a tensor on the device meta, of shape {tuple(value.shape)}"
        raise _not_dense(where, got, "torch.zeros_like(x, device='cpu'), or the data themselves")
    value = value.detach().cpu().resolve_conj().resolve_neg()
    array = (value.float() if value.dtype == torch.bfloat16 else value).numpy()
    return to_array(where, array)


def _not_dense(where: str, got: str, remedy: str) -> UserError:
    return UserError(
        where, expected="dense arrays", got=got, change=f"give the dense array: {remedy}"
    )
