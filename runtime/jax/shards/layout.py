"""Converts pipeline state between shards and a single device.

So a snapshot has one form, whatever the number of devices. A value that several shards hold, or
that is on its way between them, is told by its age alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields
from functools import partial
from typing import Any

import jax
import numpy as np

from ....compiler.plan.schedule import ValueKey, spec_of
from ...tick.train_state import Pipeline, TrainedModel
from ..lazy_arrays import Fetched
from ..ops.lower import jax_dtype
from ..traffic import plain_buffers
from .arrays import row_of, rows_of, sharded, with_row
from .slots import InSlot, taken
from .tick import ShardedState, ShardedTick

Array = Any
Ages = dict[int, np.ndarray]
"""Values by how many ticks ago they were made."""
_FIELDS = tuple(field.name for field in fields(TrainedModel))


def start(split: ShardedTick) -> ShardedState:
    """The start values, made shard by shard."""
    states = (jax.tree.map(np.asarray, tick.start()) for tick in split.ticks)
    return _placed(split, list(states), {})


def placed(split: ShardedTick, whole: Pipeline, now: int) -> ShardedState:
    """The state before tick `now` of one device (of numpy arrays), on the devices."""
    fifos = plain_buffers(split.schedule).fifos.items()
    made = {
        key: fifo.values(np.asarray(buffer), now)
        for (key, fifo), buffer in zip(fifos, whole.buffers, strict=True)
    }
    states = [
        Pipeline(_own(split, number, whole.model), tuple(_buffers(split, number, made, now)))
        for number in range(len(split.shards))
    ]
    return _placed(split, states, made)


def gathered(split: ShardedTick, state: ShardedState, now: int) -> Pipeline:
    """The inverse of `placed`."""
    rows = [rows_of(slot) for slot in state.slots]
    states = [
        split.layout.state(number, [row[number] for row in rows])
        for number in range(len(split.shards))
    ]
    made = _arrived(split, state)
    for number, (tick, own) in enumerate(zip(split.ticks, states, strict=True)):
        for (key, fifo), buffer in zip(tick.buffers.fifos.items(), own.buffers, strict=True):
            held, hops = fifo.values(buffer, now).items(), split.hops(number, key)
            made.setdefault(key, {}).update({age + hops: value for age, value in held})
    fifos = plain_buffers(split.schedule).fifos.items()
    model = TrainedModel.empty().updated(*(own.model for own in states))
    return Pipeline(model, tuple(fifo.filled(made.get(key, {}), now) for key, fifo in fifos))


def model_of(split: ShardedTick, state: ShardedState) -> TrainedModel:
    """The model; each array is fetched from its device when it is asked for."""
    places = [split.layout.places(number).model for number in range(len(split.shards))]
    listed, fetch = TrainedModel.empty().updated(*places), partial(_fetch, state)
    found: dict[str, Any] = {name: Fetched(getattr(listed, name), fetch) for name in _FIELDS}
    return TrainedModel(**found)


def with_model(state: ShardedState, model: TrainedModel) -> ShardedState:
    """The state with what was changed in a model of `model_of`."""
    slots = list(state.slots)
    for place, value in (pair for name in _FIELDS for pair in getattr(model, name).changed()):
        slots[place.slot] = with_row(slots[place.slot], place.shard, np.asarray(value))
    return ShardedState(tuple(slots), state.activations, state.gradients)


def _fetch(state: ShardedState, place: InSlot) -> np.ndarray:
    return taken(row_of(state.slots[place.slot], place.shard), place.leaf)


def _placed(split: ShardedTick, states: list[Pipeline], made: Mapping[Any, Ages]) -> ShardedState:
    per_device = [split.layout.rows(number, state) for number, state in enumerate(states)]
    slots = tuple(sharded(split.mesh, rows) for rows in zip(*per_device, strict=True))
    on_way = [_on_way(split, number, made) for number in range(len(split.shards))]
    activations, gradients = (
        {dtype: sharded(split.mesh, [flat[dtype] for flat in flats]) for dtype in flats[0]}
        for flats in zip(*on_way, strict=True)
    )
    return ShardedState(slots, activations, gradients)


def _on_way(
    split: ShardedTick, number: int, made: Mapping[Any, Ages]
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """What arrives at a shard at the next tick, in the flat arrays it comes in."""
    sides = (
        (split.forward[number], split.forward_room),
        (split.backward[number + 1], split.backward_room),
    )
    first, second = (
        wire.pack(
            {key: _aged(split, key, made, split.hops(number, key)) for key in wire.keys}, room, np
        )
        for wire, room in sides
    )
    return first, second


def _aged(split: ShardedTick, key: ValueKey, made: Mapping[Any, Ages], age: int) -> np.ndarray:
    """The value of that age; zeros before the first tick."""
    if key in made:
        return made[key][age]
    spec = spec_of(split.job.stages, key)
    return np.zeros(spec.shape, jax_dtype(spec.torch_dtype))


def _arrived(split: ShardedTick, state: ShardedState) -> dict[Any, Ages]:
    """The inverse of `_on_way`, for all shards."""
    activations = {dtype: rows_of(flat) for dtype, flat in state.activations.items()}
    gradients = {dtype: rows_of(flat) for dtype, flat in state.gradients.items()}
    made: dict[Any, Ages] = {}
    for number in range(len(split.shards)):
        ahead = split.forward[number].unpack({d: rows[number] for d, rows in activations.items()})
        back = split.backward[number + 1].unpack({d: r[number] for d, r in gradients.items()})
        for key, value in {**ahead, **back}.items():
            made.setdefault(key, {})[split.hops(number, key)] = value
    return made


def _buffers(
    split: ShardedTick, number: int, made: Mapping[Any, Ages], now: int
) -> Iterator[np.ndarray]:
    for key, fifo in split.ticks[number].buffers.fifos.items():
        hops, values = split.hops(number, key), made.get(key, {}).items()
        yield fifo.filled({age - hops: value for age, value in values}, now)


def _own(split: ShardedTick, number: int, model: TrainedModel) -> TrainedModel:
    """What a shard has of a model."""
    own = split.shards[number]
    stages = split.job.stages.stages[own.start : own.stop]
    return TrainedModel.empty().updated(*map(model.of, stages))
