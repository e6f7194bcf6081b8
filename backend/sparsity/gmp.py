"""Gradual magnitude pruning (Zhu and Gupta 2017): keep the largest weights under a schedule."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import model_validator

from .group import Dynamic
from .schedules import ConstantValue
from .select import BoolMask, Counts, Grow, grow_highest, highest, magnitude


class GMP(Dynamic):
    """Sparsity follows its schedule; where it falls again, weights revive at random places."""

    algorithm: Literal["gmp"] = "gmp"

    @model_validator(mode="after")
    def _changes(self) -> GMP:
        if isinstance(self.sparsity, ConstantValue):
            raise ValueError(
                "gmp at a constant sparsity would never change its mask; give a schedule, "
                "or take algorithm: static"
            )
        return self

    def next_mask(
        self,
        mask: BoolMask,
        weight: NDArray[np.floating],
        gradient: NDArray[np.floating] | None,
        kept: Counts,
        step: int,
        rng: np.random.Generator,
        grow: Grow = grow_highest,
    ) -> BoolMask:
        """The `kept[b]` largest weights of each block; pruned ones come after all others."""
        return highest(np.where(mask, magnitude(weight), -1 - rng.random(mask.shape)), kept)
