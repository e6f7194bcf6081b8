"""Sparse evolutionary training (Mocanu et al. 2018): drop small weights, grow at random."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from .group import DropAndGrow
from .select import BoolMask, Counts, Grow, drop_lowest, grow_highest, magnitude, survivors


class SET(DropAndGrow):
    """Grows at random among all positions that did not survive, the dropped ones included."""

    algorithm: Literal["set"] = "set"

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
        """Drop, then grow back to `kept`."""
        stay = drop_lowest(mask, magnitude(weight), survivors(mask, self.drop_at(step), kept))
        return grow(stay, rng.random(mask.shape), kept)
