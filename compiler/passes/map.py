"""`map`: every stage gets the ways it could lie on the mesh."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from ..mapping.choices import Kernels
from ..mapping.pricing import Mask, map_kernels
from ..plan.program import Stages
from ..targets.target import Target


@dataclass(frozen=True)
class Map:
    """Price all tilings of every stage and keep those that fit a PE and are Pareto-optimal.

    before: stage 0: linear                         after: stage 0:  4 x  8 PEs, 2,250 cycles
                                                                     8 x 16 PEs,   610 cycles
    """

    target: Target
    masks: Mapping[str, Mask] = field(default_factory=dict)
    optimizer_states: int = 1
    dynamic: Collection[str] = ()

    def __call__(self, stages: Stages) -> Kernels:
        return map_kernels(
            stages,
            self.masks,
            self.target,
            optimizer_states=self.optimizer_states,
            dynamic=self.dynamic,
        )
