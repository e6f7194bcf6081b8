"""What every executor does where a mask changes; `xp` is torch or jax.numpy."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ...backend.optim.rule import PER_WEIGHT, Array, State, masked
from ...backend.sparsity import MaskRule


class Masked(NamedTuple):
    """A parameter with its mask and its optimizer state: all that a mask update changes."""

    mask: Array
    weight: Array
    optimizer: State

    def updated(self, rule: MaskRule, collected: Array | None, step: int, xp: Any) -> Masked:
        """With the mask that follows at `step`; what that prunes is zero.

        Optimizer state that each weight has for itself is pruned with it, so that a weight which
        revives starts at zero without a past. `collected` is the sum of dense gradients, for rules
        that need one.
        """
        gradient = None if collected is None else _numpy(collected, xp)
        found = rule.update(np.asarray(self.mask), _numpy(self.weight, xp), gradient, step)
        mask = xp.asarray(found, copy=True)
        state = {
            name: masked(value, mask if name in PER_WEIGHT else None, xp)
            for name, value in self.optimizer.items()
        }
        return Masked(mask, masked(self.weight, mask, xp), state)


def _numpy(value: Array, xp: Any) -> np.ndarray:
    """In at least float32: numpy has no bfloat16."""
    return np.asarray(xp.asarray(value, dtype=xp.promote_types(value.dtype, xp.float32)))
