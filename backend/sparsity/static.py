"""Static sparsity: a mask drawn once and never changed (SPDF, Thangarasa et al. 2023)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from .group import SparsityGroup


class Static(SparsityGroup):
    """One group of parameters at one sparsity, the share of weights that are pruned."""

    algorithm: Literal["static"] = "static"
    sparsity: float = Field(ge=0, lt=1)

    def sparsity_at(self, step: int) -> float:
        """The one sparsity."""
        return self.sparsity
