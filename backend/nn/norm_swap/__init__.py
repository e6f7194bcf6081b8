"""Exchange of a model's normalizations: `probe` finds what a module normalizes, `swap` replaces."""

from __future__ import annotations

from .swap import replace_norms

__all__ = ["replace_norms"]
