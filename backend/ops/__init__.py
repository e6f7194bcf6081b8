"""Custom operators `torch.ops.weft.*`; importing this package registers them."""

from __future__ import annotations

from .online_norm import online_norm

__all__ = ["online_norm"]
