"""RigL (Evci et al. 2020): drop small weights, grow where the dense gradient is largest."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from ..errors import UserError
from .group import DropAndGrow
from .select import BoolMask, Counts, Grow, drop_lowest, grow_highest, magnitude, survivors


class RigL(DropAndGrow):
    """Grows among all positions that did not survive, the dropped ones included.

    Dense gradients add up over `gradient_steps` steps, the last being the one before the update.
    """

    algorithm: Literal["rigl"] = "rigl"
    gradient_steps: int = Field(default=1, ge=1)

    @property
    def gradient_window(self) -> int:
        """Steps whose dense gradients add up."""
        return self.gradient_steps

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
        """Drop, then grow back to `kept`. Raises `UserError` without a gradient."""
        if gradient is None:
            raise UserError(
                "sparsity algorithm rigl",
                expected="the dense gradient, accumulated since the last zero_grad",
                got="none",
                change="run a backward pass before the step, or take algorithm: set",
            )
        stay = drop_lowest(mask, magnitude(weight), survivors(mask, self.drop_at(step), kept))
        return grow(stay, magnitude(gradient), kept)
