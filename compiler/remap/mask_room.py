"""When masks that changed force a new map.

A stage's weights lie where the plan put them. New masks fit as long as the fullest tile's weights,
indices, gradients and optimizer state fit the PE beside everything else; they cost the cycles of
their own fullest tile. What does not fit asks for a new map: compile again with these masks.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
from torch import Tensor

from ...backend.sparsity import MaskRule
from ...backend.sparsity.room import TileRoom
from ..kernels.held.factor_lines import on_fullest
from ..kernels.held.memory import vector_elements
from ..kernels.layout import StageLayout, find_layout
from ..machine.tilings import Tilings
from ..plan.plan import Plan
from ..plan.program import Stage
from ..plan.stage_record import StageRecord


@dataclass(frozen=True)
class Room:
    """The fullest PE of a stage under the masks given.

    It would hold `nonzeros` weights and need `needed_bytes` in all, of `capacity_bytes`. There is
    room for `capacity` weights, stored compressed.
    """

    stage: str
    nonzeros: int
    capacity: int
    needed_bytes: int
    capacity_bytes: int

    @property
    def needs_new_map(self) -> bool:
        """Whether the masks do not fit where the plan put the weights."""
        return self.needed_bytes > self.capacity_bytes


def rooms(plan: Plan, masks: Mapping[str, Tensor]) -> tuple[Room, ...]:
    """For each stage with one of `masks`, whether they fit."""
    return MapRooms(plan).under(masks)


class MapRooms:
    """What a plan's map has room for. Read off the plan once, asked after every mask update."""

    def __init__(self, plan: Plan) -> None:
        self._masks = plan.masks
        self._index_bytes = _index_bytes(plan)
        self._capacity_bytes = plan.document.totals.memory_capacity_per_pe_bytes
        self._stages = [
            _Lying(stage, record, find_layout(stage.program))
            for stage, record in zip(plan.stages.stages, plan.document.stages, strict=True)
            if any(name in plan.masks for name in stage.parameters)
        ]

    def under(self, masks: Mapping[str, Tensor]) -> tuple[Room, ...]:
        """For each stage with one of `masks`, which replace those of the plan, whether they fit.

        Tiles are counted as the weights lie, unbalanced: masks that change are not balanced. A
        stage that the plan balanced and that keeps its mask is what the plan says it is.
        """
        return tuple(self._room(stage, masks) for stage in self._stages if stage.has(masks))

    def given_to(self, rules: Mapping[str, MaskRule]) -> dict[str, MaskRule]:
        """The same rules; those that grow where there is room know it."""
        if not any(rule.needs_room for rule in rules.values()):
            return dict(rules)
        tiles, fullest = self.tiles(), self.tiles(spare=False)
        return {
            name: replace(rule, room=(fullest if rule.keeps_pace else tiles)[name])
            if rule.needs_room
            else rule
            for name, rule in rules.items()
        }

    def tiles(self, spare: bool = True) -> dict[str, TileRoom]:
        """The room of each tile of every weight that the plan has a mask of, by parameter.

        What a stage's PE could hold beside its masks is shared among its masked weights as their
        fullest tiles are. Without what is `spare` none may be fuller than the fullest.
        """
        found: dict[str, TileRoom] = {}
        for stage in self._stages:
            room = self._room(stage, self._masks)
            names = stage.stage.parameters
            held = list(stage.held(self._masks, self._index_bytes))
            most = {n: h.elements for n, h in zip(names, held, strict=True) if n in self._masks}
            more = max(room.capacity - sum(part.elements for part in held), 0) if spare else 0
            for name, elements in most.items():
                share = more * elements // max(sum(most.values()), 1)
                shape = tuple(self._masks[name].shape)
                splits = stage.splits(names.index(name))
                found[name] = TileRoom(shape, splits, elements + share)
        return found

    def _room(self, stage: _Lying, masks: Mapping[str, Tensor]) -> Room:
        held, record = list(stage.held(masks, self._index_bytes)), stage.record
        nonzeros = sum(part.elements for part in held)
        needed = stage.other_bytes + sum(part.size_bytes for part in held)
        if nonzeros == record.nonzeros.per_pe_max_unbalanced:
            nonzeros = record.nonzeros.per_pe_max
            needed = record.memory_per_pe.total_bytes
        each = max(part.bytes_per_nonzero for part in held)
        room = (self._capacity_bytes - stage.other_bytes) // each
        fits = needed <= self._capacity_bytes
        capacity = max(room, nonzeros) if fits else room
        return Room(record.id, nonzeros, capacity, needed, self._capacity_bytes)


def _index_bytes(plan: Plan) -> int:
    """Bytes of a weight's index on the plan's target."""
    found = (c.value for c in plan.document.provenance if c.name == "sparsity.index_bytes")
    value = next(found, 0)
    return int(value) if isinstance(value, int | float) else 0


@dataclass(frozen=True)
class _HeldParameter:
    """One parameter on the fullest PE, with its gradient and optimizer state."""

    elements: int
    size_bytes: int
    bytes_per_nonzero: int


@dataclass(frozen=True)
class _Lying:
    """A stage at the tiling of the plan."""

    stage: Stage
    record: StageRecord
    layout: StageLayout

    def has(self, masks: Mapping[str, Tensor]) -> bool:
        """Whether a mask is for this stage."""
        return any(name in masks for name in self.stage.parameters)

    def splits(self, index: int) -> tuple[int, int]:
        """Slices along the first and the second axis of a matrix."""
        out, into = self.record.tiling.out_split, self.record.tiling.in_split
        return (out, into) if self.layout.matrices[index].in_axis == 1 else (into, out)

    @property
    def other_bytes(self) -> int:
        """What does not go with weights."""
        memory = self.record.memory_per_pe
        of_weights = memory.weights_bytes + memory.optimizer_bytes + memory.gradient_bytes
        return memory.total_bytes - of_weights

    def held(self, masks: Mapping[str, Tensor], index_bytes: int) -> Iterator[_HeldParameter]:
        """Each parameter under `masks`. A matrix is stored compressed where that is smaller; of
        low-rank factors the fullest PE has no more than the plan gave it."""
        memory, program = self.record.memory_per_pe, self.stage.program
        states = memory.optimizer_bytes // memory.gradient_bytes if memory.gradient_bytes else 0
        tilings = Tilings.of(self.record.tiling)
        splits = tilings.in_split, tilings.out_split
        there = on_fullest(self.layout, tilings)
        for index, spec in enumerate(program.parameters):
            size = spec.torch_dtype.itemsize
            training = (1 + states) * size * program.trainable[index]
            if index not in self.layout.matrices:
                elements = int(vector_elements(tilings, self.layout, index, spec)[0])
                yield _HeldParameter(elements, elements * (size + training), size + training)
                continue
            mask = masks.get(self.stage.parameters[index])
            tiles = self.layout.matrices[index].tiles_of(None if mask is None else np.asarray(mask))
            elements, dense = int(tiles.tile_max(*splits)[0]), int(tiles.tile_size(*splits)[0])
            if index in there and not there[index][0]:
                elements = 0
            stored = min(dense * size, elements * (size + index_bytes))
            each = size + index_bytes + training
            yield _HeldParameter(elements, stored + elements * training, each)
