"""`emit`: everything decided becomes one plan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor

from ..emit.emit import Labels, emit
from ..mapping.choices import Placement
from ..plan.plan import Plan
from ..plan.program import Stages


@dataclass(frozen=True)
class Emit:
    """Write down stages and placement as a plan: records, edges with routes, totals.

    before: stage 0: 8 x 16 PEs at (0, 0)           after: stages: [{index: 0, region: ..., ...}]
            stage 1: 4 x 16 PEs at (8, 0)                  edges: [{source: 0, sink: 1, ...}]
    """

    labels: Labels
    masks: Mapping[str, Tensor] = field(default_factory=dict)

    def __call__(self, stages: Stages, placement: Placement, tensors: Mapping[str, Tensor]) -> Plan:
        return emit(stages, placement, tensors, self.masks, self.labels)
