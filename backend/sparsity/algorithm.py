"""What a sparsity algorithm offers, and the algorithms by name: one file each."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from .static import Static


class Algorithm(Protocol):
    """A validated, frozen group of the sparsity configuration."""

    @property
    def param_filter(self) -> tuple[str, ...] | None:
        """Globs of parameter names, or None for the default choice."""
        ...

    def first_mask(self, name: str, weight: Tensor) -> Tensor:
        """Mask before the first step, True is kept."""
        ...


ALGORITHMS: dict[str, type[Static]] = {"static": Static}
