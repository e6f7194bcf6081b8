"""When masks that changed force a new map.

A stage's weights lie where the plan put them. New masks fit as long as the fullest tile's weights,
gradients and optimizer state fit the PE beside everything else; they cost the cycles of their own
fullest tile. What does not fit asks for a new map: compile again with these masks.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from .kernels.layout import find_layout
from .plan.document import StageRecord, Tiling
from .plan.plan import Plan
from .program import Stage


@dataclass(frozen=True)
class Room:
    """Non-zeros on the fullest PE of a stage: under the masks given, and what there is room for."""

    stage: str
    nonzeros: int
    capacity: int

    @property
    def needs_new_map(self) -> bool:
        """Whether the masks do not fit where the plan put the weights."""
        return self.nonzeros > self.capacity


def rooms(plan: Plan, masks: Mapping[str, Tensor]) -> tuple[Room, ...]:
    """For each stage with one of `masks`, whether they fit. `masks` replace those of the plan."""
    return tuple(_rooms(plan, masks))


def _rooms(plan: Plan, masks: Mapping[str, Tensor]) -> Iterator[Room]:
    capacity = plan.document.totals.memory_capacity_per_pe_bytes
    for stage, record in zip(plan.stages.stages, plan.document.stages, strict=True):
        if any(name in masks for name in stage.parameters):
            before, after = (_fullest(stage, record.tiling, m) for m in (plan.masks, masks))
            held = record.nonzeros
            same = all(
                name in plan.masks and bool((plan.masks[name] == masks[name]).all())
                for name in stage.parameters
                if name in masks
            )
            fullest = held.per_pe_max if same else held.per_pe_max_unbalanced + after - before
            yield Room(record.id, fullest, _capacity(record, capacity))


def _capacity(record: StageRecord, capacity_bytes: int) -> int:
    """Non-zeros that fit the fullest PE with their values, indices, gradients and optimizer."""
    memory, held = record.memory_per_pe, record.nonzeros.per_pe_max
    bytes_of_weights = memory.weights_bytes + memory.optimizer_bytes + memory.gradient_bytes
    free = capacity_bytes - memory.total_bytes
    return held + int(free * held / bytes_of_weights) if bytes_of_weights else held


def _fullest(stage: Stage, tiling: Tiling, masks: Mapping[str, Tensor]) -> int:
    """Non-zeros on the fullest tiles of the stage's matrices, as they lie."""
    total = 0
    for index, matrix in find_layout(stage.program).matrices.items():
        mask = masks.get(stage.parameters[index])
        tiles = matrix.tiles_of(None if mask is None else np.asarray(mask))
        splits = np.array([tiling.in_split]), np.array([tiling.out_split])
        total += int(tiles.tile_max(*splits)[0])
    return total
