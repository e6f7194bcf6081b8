"""What all sparsity algorithms have in common: the keys of a group, and what it is asked."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from .blocks import Blocks
from .distributions import Distribution
from .filters import Filter
from .schedules import ConstantValue, ValueSchedule
from .select import BoolMask, Counts, Grow, grow_highest
from .updates import NEVER, Every, Updates


class SparsityGroup(BaseModel):
    """A set of parameters with one algorithm. Masks are (blocks, elements), see `Blocks`.

    `seed`, `distribution` and `power` are weft's; the other keys are those of the Cerebras
    sparsity API.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    init_method: Literal["random", "topk", "from_zeros", "checkerboard"] = "random"
    param_filter: Filter = None
    distribution: Distribution = "uniform"
    power: float = Field(default=1.0, ge=0)
    seed: int = 0

    @property
    def blocks(self) -> Blocks:
        """Parts between which non-zeros are balanced."""
        return Blocks()

    @property
    def gradient_window(self) -> int:
        """Steps before a mask update whose dense gradients add up for it; 0 if it needs none."""
        return 0

    @property
    def starts_dense(self) -> bool:
        """Whether nothing is pruned before the first mask update."""
        return False

    @property
    def is_dynamic(self) -> bool:
        """Whether masks ever change."""
        return False

    def due(self, step: int) -> bool:
        """Whether masks are updated once `step` optimizer steps were made."""
        return int(self.until(step)) == 0

    def until(self, step: Any, xp: Any = np) -> Any:
        """Steps from `step` to the next mask update; see `Every.until`."""
        return xp.full_like(step, NEVER)

    def sparsity_at(self, step: int) -> float:
        """Share of weights that are pruned by a mask made at `step`."""
        raise NotImplementedError

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
        """The mask after an update, with `kept[b]` True in block b; `grow` adds what is missing.

        mask, weight, gradient: (blocks, elements). The gradient is dense, of pruned weights too.
        """
        raise NotImplementedError


class Dynamic(SparsityGroup):
    """A group whose masks change. If `update` is not active at step 0, training starts dense."""

    sparsity: ValueSchedule
    update: Updates = Every()
    balance_in_groups: int | None = Field(default=None, ge=1)
    balance_out_groups: int | None = Field(default=None, ge=1)

    @model_validator(mode="after")
    def _consistent(self) -> Dynamic:
        if isinstance(self.sparsity, ConstantValue) and self.sparsity.value >= 1:
            raise ValueError("a sparsity must be less than 1")
        if self.balance_in_groups and self.balance_out_groups:
            raise ValueError("give only one of balance_in_groups and balance_out_groups")
        if self.blocks.count > 1 and self.distribution != "uniform":
            raise ValueError("balanced groups need the uniform distribution")
        return self

    @property
    def blocks(self) -> Blocks:
        """Parts between which non-zeros are balanced."""
        if self.balance_in_groups:
            return Blocks(axis=1, count=self.balance_in_groups)
        return Blocks(axis=0, count=self.balance_out_groups or 1)

    @property
    def starts_dense(self) -> bool:
        """Whether `update` is not active at step 0."""
        return not self.update.due(0)

    @property
    def is_dynamic(self) -> bool:
        """They do."""
        return True

    def until(self, step: Any, xp: Any = np) -> Any:
        """Steps from `step` to the next mask update."""
        return self.update.until(step, xp)

    def sparsity_at(self, step: int) -> float:
        """Share of weights that are pruned by a mask made at `step`; 0 while training is dense."""
        if step == 0 and self.starts_dense:
            return 0.0
        return self.sparsity.at(step, self.update.before(step))


class DropAndGrow(Dynamic):
    """Drops the smallest `drop_fraction` of the kept weights, then grows as many elsewhere.

    growth: free is anywhere; room is where the tile that a plan puts the weight on has room in its
    PE's memory; pace is where it holds fewer weights than the plan's fullest, so that none gets
    slower than it was planned.
    """

    drop_fraction: ValueSchedule = ConstantValue(value=0.3)
    growth: Literal["free", "room", "pace"] = "free"

    @model_validator(mode="after")
    def _room_of_whole_weights(self) -> DropAndGrow:
        where = f"growth: {self.growth}"
        if self.growth != "free" and self.blocks.count > 1:
            raise ValueError(f"{where} takes no balanced groups, which are tiles of their own")
        if self.growth != "free" and self.starts_dense:
            raise ValueError(f"{where} needs masks from step 0: a dense start fills all tiles")
        return self

    def drop_at(self, step: int) -> float:
        """Share of the kept weights that an update at `step` drops."""
        drops_before = self.update.before(step) - (0 if self.starts_dense else 1)
        return self.drop_fraction.at(step, drops_before)
