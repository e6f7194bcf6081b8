"""The state of a tick of groups as that of single stages, and back.

A snapshot has the second form, so a checkpoint does not tell which stages were done together.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from ...tick.stage_classes import Group
from ...tick.train_state import Model
from ..lazy_arrays import Fetched
from ..shards.arrays import own_copy
from ..tick import Pipeline

if TYPE_CHECKING:
    from .tick import GroupedTick

Array = Any
_FIELDS = tuple(field.name for field in fields(Model))


@dataclass(frozen=True)
class Row:
    """A stage's part of the array at `path` of a model of stacks: a row, or all of it."""

    path: Any
    row: int | None


def stacked(groups: Sequence[Group], model: Model) -> Model:
    """A model on the host, by groups: a stack for every tensor of more than one stage."""
    found = Model(*({} for _ in _FIELDS))
    for group in groups:
        own = [_renamed(model.of(s), group.names(n)) for n, s in enumerate(group.stages)]
        single = len(own) == 1
        found = found.updated(own[0] if single else jax.tree.map(_stack, *own))
    return found


def unstacked(groups: Sequence[Group], model: Model) -> Model:
    """The inverse of `stacked`, for arrays on the host or in a program."""
    return _by_stage(groups, model, lambda own, row: jax.tree.map(lambda a: _at(a, row), own))


def model_of(tick: GroupedTick, state: Pipeline) -> Model:
    """The model by stages; each array is fetched when it is asked for."""
    arrays = dict(jax.tree_util.tree_leaves_with_path(state.model))

    def places(own: Model, row: int | None) -> Model:
        return jax.tree_util.tree_map_with_path(lambda path, _: Row(path, row), own)

    listed = _by_stage(tick.groups, state.model, places)

    def fetch(place: Row) -> Array:
        array = arrays[place.path]
        return array if place.row is None else np.asarray(array)[place.row]

    found: dict[str, Any] = {f: Fetched(getattr(listed, f), fetch) for f in _FIELDS}
    return Model(**found)


def with_model(state: Pipeline, model: Model) -> Pipeline:
    """The state with what was changed in a model of `model_of`."""
    changes: dict[Any, list[tuple[int | None, Array]]] = {}
    for place, value in (pair for f in _FIELDS for pair in getattr(model, f).changed()):
        changes.setdefault(place.path, []).append((place.row, value))

    def patched(path: Any, array: Array) -> Array:
        return _patched(array, changes[path]) if path in changes else array

    return Pipeline(jax.tree_util.tree_map_with_path(patched, state.model), state.buffers)


def gathered(tick: GroupedTick, state: Pipeline, now: int) -> Pipeline:
    """The state before tick `now` as that of `PipelinedTick`, on the host."""
    model = unstacked(tick.groups, jax.tree.map(np.asarray, state.model))
    held = dict(zip(tick.held, map(np.asarray, state.buffers), strict=True))
    buffers = []
    for key, fifo in tick.fifos.items():
        if key in tick.places:
            rings, member = tick.places[key]
            buffers.append(tick.held[rings].held(held[rings], member, fifo, now))
        else:
            buffers.append(held[key])
    return Pipeline(model, tuple(buffers))


def placed(tick: GroupedTick, whole: Pipeline, now: int) -> Pipeline:
    """The inverse of `gathered`, on the device."""
    held = {key: fifo.empty() for key, fifo in tick.held.items()}
    for (key, fifo), buffer in zip(tick.fifos.items(), whole.buffers, strict=True):
        if key in tick.places:
            rings, member = tick.places[key]
            tick.held[rings].hold(held[rings], member, fifo, buffer, now)
        else:
            held[key] = buffer
    model = stacked(tick.groups, whole.model)
    return jax.tree.map(own_copy, Pipeline(model, tuple(held.values())))


def _by_stage(
    groups: Sequence[Group], model: Model, row_of: Callable[[Model, int | None], Model]
) -> Model:
    """A model by stages, of what `row_of` gives for a group's part of `model` and a row."""
    found = Model(*({} for _ in _FIELDS))
    for group in groups:
        own = model.of(group.first)
        for number, _ in enumerate(group.stages):
            row = number if len(group.stages) > 1 else None
            back = {theirs: mine for mine, theirs in group.names(number).items()}
            found = found.updated(_renamed(row_of(own, row), back))
    return found


def _renamed(model: Model, names: Mapping[str, str]) -> Model:
    """With each entry by its name in `names`."""
    entries = (getattr(model, f).items() for f in _FIELDS)
    return Model(*({names[name]: value for name, value in own} for own in entries))


def _stack(*rows: np.ndarray) -> np.ndarray:
    return np.stack(rows)


def _at(array: Array, row: int | None) -> Array:
    return array if row is None else array[row]


def _patched(array: Array, changes: Sequence[tuple[int | None, Array]]) -> Array:
    """The array with new rows, or what takes its place."""
    if changes[0][0] is None:
        return changes[0][1]
    rows = np.array(array)
    for row, value in changes:
        rows[row] = np.asarray(value)
    return own_copy(rows)
