"""Unstructured sparsity: `weft.sparsity.configure({...}).masks(model)`, `weft.sparsity.apply`."""

from __future__ import annotations

from .backend.sparsity import Applied, Sparsity, algorithms, apply, configure, kept_count

__all__ = ["Applied", "Sparsity", "algorithms", "apply", "configure", "kept_count"]
