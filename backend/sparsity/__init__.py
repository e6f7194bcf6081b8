"""Unstructured sparsity: configuration, masks and their updates, sparse training in torch."""

from __future__ import annotations

from .algorithm import ALGORITHMS
from .apply import Applied, apply
from .config import Sparsity, configure
from .distributions import kept_counts
from .initializers import kept_count
from .rule import MaskRule
from .sparsifier import Level, Sparsifier


def algorithms() -> tuple[str, ...]:
    """Names of the sparsity algorithms."""
    return tuple(ALGORITHMS)


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
]
