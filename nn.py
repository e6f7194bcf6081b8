"""Modules for training one sample at a time: `weft.nn.OnlineNorm`, `weft.nn.replace_norms`."""

from __future__ import annotations

from .backend.nn import OnlineNorm, make_norm, norm_kinds, replace_norms

__all__ = ["OnlineNorm", "make_norm", "norm_kinds", "replace_norms"]
