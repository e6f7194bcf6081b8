"""Converts pipeline state between stacks of classes and single stages.

A snapshot has the second form, so a checkpoint does not tell which stages were done together.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import jax
import numpy as np

from ...tick.stage_classes import Classes
from ...tick.train_state import Pipeline, TrainedModel
from ..device import own_copy
from ..lazy_arrays import Fetched
from ..traffic import Buffers

Array = Any
_FIELDS = tuple(field.name for field in fields(TrainedModel))


@dataclass(frozen=True)
class InStack:
    """A stage's part of the array at `path` of a model of stacks: a row, or all of it."""

    path: Any
    row: int | None


def stacked(classes: Classes, model: TrainedModel) -> TrainedModel:
    """A model on the host, by classes: a stack for every tensor of more than one stage."""
    found = []
    for own_class in classes:
        stages = enumerate(own_class.stages)
        own = [_renamed(model.of(stage), own_class.names(n)) for n, stage in stages]
        found.append(own[0] if own_class.is_single else jax.tree.map(_stack, *own))
    return TrainedModel.empty().updated(*found)


def unstacked(classes: Classes, model: TrainedModel) -> TrainedModel:
    """The inverse of `stacked`, for arrays on the host or in a program."""
    return _by_stage(classes, model, lambda own, row: jax.tree.map(lambda a: _at(a, row), own))


def model_of(classes: Classes, state: Pipeline) -> TrainedModel:
    """The model by stages; each array is fetched when it is asked for."""
    arrays = dict(jax.tree_util.tree_leaves_with_path(state.model))

    def places(own: TrainedModel, row: int | None) -> TrainedModel:
        return jax.tree_util.tree_map_with_path(lambda path, _: InStack(path, row), own)

    listed = _by_stage(classes, state.model, places)

    def fetch(place: InStack) -> Array:
        array = arrays[place.path]
        return array if place.row is None else np.asarray(array)[place.row]

    found: dict[str, Any] = {f: Fetched(getattr(listed, f), fetch) for f in _FIELDS}
    return TrainedModel(**found)


def with_model(state: Pipeline, model: TrainedModel) -> Pipeline:
    """The state with what was changed in a model of `model_of`."""
    changes: dict[Any, list[tuple[int | None, Array]]] = {}
    for place, value in (pair for f in _FIELDS for pair in getattr(model, f).changed()):
        changes.setdefault(place.path, []).append((place.row, value))

    def patched(path: Any, array: Array) -> Array:
        return _patched(array, changes[path]) if path in changes else array

    return Pipeline(jax.tree_util.tree_map_with_path(patched, state.model), state.buffers)


def gathered(classes: Classes, buffers: Buffers, state: Pipeline, now: int) -> Pipeline:
    """The state before tick `now` on the host: a model by stages, a buffer for every FIFO."""
    model = unstacked(classes, jax.tree.map(np.asarray, state.model))
    arrays = dict(zip(buffers.held, map(np.asarray, state.buffers), strict=True))
    held = []
    for key, fifo in buffers.fifos.items():
        if key in buffers.in_rings:
            keys, member = buffers.in_rings[key]
            rings: Any = buffers.held[keys]
            held.append(rings.held(arrays[keys], member, fifo, now))
        else:
            held.append(arrays[key])
    return Pipeline(model, tuple(held))


def placed(classes: Classes, buffers: Buffers, whole: Pipeline, now: int) -> Pipeline:
    """The inverse of `gathered`, on the device."""
    arrays = dict(zip(buffers.held, buffers.empty(), strict=True))
    for (key, fifo), values in zip(buffers.fifos.items(), whole.buffers, strict=True):
        if key in buffers.in_rings:
            keys, member = buffers.in_rings[key]
            rings: Any = buffers.held[keys]
            rings.hold(arrays[keys], member, fifo, values, now)
        else:
            arrays[key] = values
    model = stacked(classes, whole.model)
    return jax.tree.map(own_copy, Pipeline(model, tuple(arrays.values())))


def _by_stage(
    classes: Classes,
    model: TrainedModel,
    row_of: Callable[[TrainedModel, int | None], TrainedModel],
) -> TrainedModel:
    """A model by stages, of what `row_of` gives for a class's part of `model` and a row."""
    found = []
    for own_class in classes:
        own = model.of(own_class.first)
        for number, _ in enumerate(own_class.stages):
            row = None if own_class.is_single else number
            back = {theirs: mine for mine, theirs in own_class.names(number).items()}
            found.append(_renamed(row_of(own, row), back))
    return TrainedModel.empty().updated(*found)


def _renamed(model: TrainedModel, names: Mapping[str, str]) -> TrainedModel:
    """With each entry by its name in `names`."""
    entries = (getattr(model, f).items() for f in _FIELDS)
    return TrainedModel(*({names[name]: value for name, value in own} for own in entries))


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
