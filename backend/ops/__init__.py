"""Custom operators `torch.ops.weft.*`; importing this package registers them."""

from __future__ import annotations

from .online_norm import online_norm
from .uniform import uniform

NAMESPACE = "weft"
"""Where torch.ops keeps them."""

__all__ = ["NAMESPACE", "online_norm", "uniform"]
