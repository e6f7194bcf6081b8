"""Unstructured sparsity. `weft.sparsity.Sparsifier(model, optimizer, config)` trains with it."""

from __future__ import annotations

from .backend.sparsity import (
    Applied,
    Level,
    MaskRule,
    Sparsifier,
    Sparsity,
    algorithms,
    apply,
    configure,
    kept_count,
    kept_counts,
    masks_of,
    release,
)

__all__ = [
    "Applied",
    "Level",
    "MaskRule",
    "Sparsifier",
    "Sparsity",
    "algorithms",
    "apply",
    "configure",
    "kept_count",
    "kept_counts",
    "masks_of",
    "release",
]
