"""`place`: one choice per stage, laid out on the mesh."""

from __future__ import annotations

from dataclasses import dataclass

from ..mapping.choices import Kernels, Placement
from ..place.place import place
from ..plan.program import Stages


@dataclass(frozen=True)
class Place:
    """Choose and lay out one rectangle per stage, for the smallest initiation interval that fits.

    before: stage 0:  4 x  8 PEs, 2,250 cycles      after: stage 0: 8 x 16 PEs at (0, 0)
                      8 x 16 PEs,   610 cycles             stage 1: 4 x 16 PEs at (8, 0)
    """

    def __call__(self, stages: Stages, kernels: Kernels) -> Placement:
        return place(stages, kernels)
