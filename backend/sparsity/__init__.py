"""Unstructured sparsity: configuration, masks and their updates, sparse training in torch."""

from __future__ import annotations

from .algorithm import ALGORITHMS
from .config import Sparsity, configure
from .distributions import kept_counts
from .eager.apply import Applied, apply
from .eager.attached import masks_of, release
from .eager.sparsifier import Level, Sparsifier
from .initializers import kept_count
from .rule import MaskRule


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
    "masks_of",
    "release",
]
