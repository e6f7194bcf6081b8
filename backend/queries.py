"""Questions about a tensor that compute nothing, and have the same answer of a fake one.

torch asks four in five of all that it calls while it exports a model.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

_ATTRIBUTES = (
    *("dtype", "shape", "layout", "ndim", "is_leaf", "requires_grad"),
    *("is_sparse", "is_quantized", "is_nested", "is_mkldnn"),
)
_METHODS = (
    *("size", "dim", "numel", "stride", "storage_offset"),
    *("_is_view", "is_inference", "is_conj", "is_neg"),
)
QUERIES: frozenset[Callable[..., Any]] = frozenset(
    {
        *(getattr(Tensor, name).__get__ for name in _ATTRIBUTES),
        *(getattr(Tensor, name) for name in _METHODS),
    }
)
"""As a TorchFunctionMode is told them."""
