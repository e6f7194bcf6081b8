"""`balance`: tiles of sparse weights hold nearly the same number of non-zeros."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from ..mapping.choices import Placement
from ..mapping.pricing import Mask
from ..place.balance import balance_placement
from ..plan.program import Stages


@dataclass(frozen=True)
class Balance:
    """Permute the features of masked weights, each for the tiling that was chosen.

    before: stage 0: 8 x 16 PEs at (0, 0), 610 cycles     after: stage 0: ... 540 cycles
    """

    masks: Mapping[str, Mask] = field(default_factory=dict)
    dynamic: Collection[str] = ()
    optimizer_states: int = 1

    def __call__(self, stages: Stages, placement: Placement) -> Placement:
        return balance_placement(stages, placement, self.masks, self.dynamic, self.optimizer_states)
