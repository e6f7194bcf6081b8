"""The state of a split pipeline as that of one device, and back.

So a snapshot has one form, whatever the number of devices. A value that several groups hold, or
that is on its way between them, is told by its age alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields
from functools import partial
from typing import Any

import jax
import numpy as np

from ...tick.shard import Key, spec_of
from ...tick.train_state import Model
from ..lazy_arrays import Fetched
from ..ops.lower import jax_dtype
from ..tick import Pipeline
from .arrays import row_of, rows_of, sharded, with_row
from .slots import Place, taken
from .tick import PartTick, SplitState, SplitTick

Array = Any
Ages = dict[int, np.ndarray]
"""Values by how many ticks ago they were made."""


def start(split: SplitTick) -> SplitState:
    """The start values, made group by group."""
    states = (jax.tree.map(np.asarray, tick.start()) for tick in split.ticks)
    return _placed(split, list(states), {})


def placed(split: SplitTick, whole: Pipeline, tick: int) -> SplitState:
    """The state before tick `tick` of one device (of numpy arrays), on the devices."""
    fifos = split.whole.fifos.items()
    made = {
        key: fifo.values(np.asarray(buffer), tick)
        for (key, fifo), buffer in zip(fifos, whole.buffers, strict=True)
    }
    states = [
        Pipeline(_own(whole.model, part), tuple(_buffers(part, made, tick))) for part in split.ticks
    ]
    return _placed(split, states, made)


def gathered(split: SplitTick, state: SplitState, tick: int) -> Pipeline:
    """The inverse of `placed`."""
    rows = [rows_of(slot) for slot in state.slots]
    states = [
        split.layout.state(number, [row[number] for row in rows])
        for number in range(len(split.groups))
    ]
    made = _arrived(split, state)
    for part, own in zip(split.ticks, states, strict=True):
        for (key, fifo), buffer in zip(part.fifos.items(), own.buffers, strict=True):
            held = fifo.values(buffer, tick).items()
            hops = _hops(part, key)
            made.setdefault(key, {}).update({age + hops: value for age, value in held})
    buffers = [fifo.filled(made.get(k, {}), tick) for k, fifo in split.whole.fifos.items()]
    return Pipeline(_union([own.model for own in states]), tuple(buffers))


def model_of(split: SplitTick, state: SplitState) -> Model:
    """The model; each array is fetched from its device when it is asked for."""
    places = [split.layout.places(number).model for number in range(len(split.groups))]
    found: dict[str, Any] = {}
    for name in (field.name for field in fields(Model)):
        listed = {key: place for own in places for key, place in getattr(own, name).items()}
        found[name] = Fetched(listed, partial(_fetch, state))
    return Model(**found)


def with_model(state: SplitState, model: Model) -> SplitState:
    """The state with what was changed in a model of `model_of`."""
    slots = list(state.slots)
    for place, value in (pair for f in fields(Model) for pair in getattr(model, f.name).changed()):
        slots[place.slot] = with_row(slots[place.slot], place.group, np.asarray(value))
    return SplitState(tuple(slots), state.activations, state.gradients)


def _fetch(state: SplitState, place: Place) -> np.ndarray:
    return taken(row_of(state.slots[place.slot], place.group), place.leaf)


def _placed(split: SplitTick, states: list[Pipeline], made: Mapping[Any, Ages]) -> SplitState:
    per_device = [split.layout.rows(number, state) for number, state in enumerate(states)]
    slots = tuple(sharded(split.mesh, rows) for rows in zip(*per_device, strict=True))
    on_way = [_on_way(split, part, made) for part in split.ticks]
    activations, gradients = (
        {dtype: sharded(split.mesh, [flat[dtype] for flat in flats]) for dtype in flats[0]}
        for flats in zip(*on_way, strict=True)
    )
    return SplitState(slots, activations, gradients)


def _on_way(
    split: SplitTick, part: PartTick, made: Mapping[Any, Ages]
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """What arrives at a group at the next tick, in the flat arrays it comes in."""
    number = part.part.number
    sides = (
        (split.forward[number], split.forward_room),
        (split.backward[number + 1], split.backward_room),
    )
    first, second = (
        wire.pack(
            {key: _aged(split, key, made, part.part.hops(key)) for key in wire.keys}, room, np
        )
        for wire, room in sides
    )
    return first, second


def _aged(split: SplitTick, key: Key, made: Mapping[Any, Ages], age: int) -> np.ndarray:
    """The value of that age; zeros before the first tick."""
    if key in made:
        return made[key][age]
    spec = spec_of(split.job.stages, key)
    return np.zeros(spec.shape, jax_dtype(spec.torch_dtype))


def _arrived(split: SplitTick, state: SplitState) -> dict[Any, Ages]:
    """The inverse of `_on_way`, for all groups."""
    activations = {dtype: rows_of(flat) for dtype, flat in state.activations.items()}
    gradients = {dtype: rows_of(flat) for dtype, flat in state.gradients.items()}
    made: dict[Any, Ages] = {}
    for number, part in enumerate(split.ticks):
        ahead = split.forward[number].unpack({d: rows[number] for d, rows in activations.items()})
        back = split.backward[number + 1].unpack({d: r[number] for d, r in gradients.items()})
        for key, value in {**ahead, **back}.items():
            made.setdefault(key, {})[part.part.hops(key)] = value
    return made


def _buffers(part: PartTick, made: Mapping[Any, Ages], tick: int) -> Iterator[np.ndarray]:
    for key, fifo in part.fifos.items():
        hops = _hops(part, key)
        yield fifo.filled({age - hops: value for age, value in made.get(key, {}).items()}, tick)


def _hops(part: PartTick, key: Any) -> int:
    """Ticks that a value is old when it arrives; what a stage keeps for itself never travels."""
    return 0 if isinstance(key, tuple) and len(key) == 3 else part.part.hops(key)


def _own(model: Model, part: PartTick) -> Model:
    """What a group has of a model."""
    form = jax.eval_shape(part.start).model
    names = [field.name for field in fields(Model)]
    return Model(
        **{name: {k: getattr(model, name)[k] for k in getattr(form, name)} for name in names}
    )


def _union(models: list[Model]) -> Model:
    names = [field.name for field in fields(Model)]
    return Model(
        **{name: {k: v for own in models for k, v in getattr(own, name).items()} for name in names}
    )
