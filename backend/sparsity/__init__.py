"""Unstructured sparsity: configuration, masks, and their application to torch modules."""

from __future__ import annotations

from .algorithm import ALGORITHMS
from .apply import Applied, apply
from .config import Sparsity, configure
from .initializers import kept_count


def algorithms() -> tuple[str, ...]:
    """Names of the sparsity algorithms."""
    return tuple(ALGORITHMS)


__all__ = ["Applied", "Sparsity", "algorithms", "apply", "configure", "kept_count"]
