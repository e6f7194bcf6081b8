"""torch_xla, whose import replaces two functions of torch for the whole process: not here.

torch.export cannot trace its GRU, so models would not compile any more. Everything that needs
torch_xla takes it from here.
"""

from __future__ import annotations

from typing import Any

from torch import nn

_OF_TORCH = nn.GRU, nn.utils.clip_grad_norm_

import torch_xla  # noqa: E402
from torch_xla import _XLAC, runtime  # noqa: E402  # pyright: ignore[reportPrivateImportUsage]
from torch_xla.backends import set_mat_mul_precision  # noqa: E402
from torch_xla.core import xla_builder, xla_model  # noqa: E402
from torch_xla.debug import metrics  # noqa: E402

nn.GRU, nn.utils.clip_grad_norm_ = _OF_TORCH
XLAC: Any = _XLAC
"""Its functions in C++."""

__all__ = [
    "XLAC",
    "metrics",
    "runtime",
    "set_mat_mul_precision",
    "torch_xla",
    "xla_builder",
    "xla_model",
]
