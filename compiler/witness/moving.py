"""What of Python's own values moves on from call to call, as far as later calls may see it.

A forward whose values stay as they are from one call to the next does the same in every later call
on the same numbers. What moves is a number, a container that grows, an iterator, or something that
cannot be followed.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from numbers import Number
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import Any

import numpy as np
from torch import Tensor, nn

from ..capture.kept.places import CONTAINERS, Place, places
from ..capture.sample import OneSample

_LARGE = 100_000
_DEEPEST = 4
States = Mapping[str, tuple[Place, Any, Any]]
"""A place, its value, and what of the value Python code may see, by the name of the place."""


@dataclass(frozen=True)
class MovedNumber:
    """A number, what it is now, and by how much a call moves it."""

    place: Place
    now: int | float
    step: int | float


@dataclass(frozen=True)
class Moving:
    """What one more call changed: places by how their readers can be found."""

    numbers: tuple[MovedNumber, ...]
    containers: tuple[Place, ...]
    iterators: tuple[Place, ...]
    others: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all of these places."""
        rest = (place.name for place in (*self.containers, *self.iterators))
        return (*self.others, *self.counted, *rest)

    @property
    def counted(self) -> tuple[str, ...]:
        """The names of the numbers."""
        return tuple(one.place.name for one in self.numbers)


def states(sample: OneSample) -> States:
    """What Python holds for a model and its loss at this moment."""
    found = {place.name: place for place in places(sample, vars(sample).get("loss"))}
    values = {name: (place, place.get()) for name, place in found.items()}
    return {name: (place, value, state_of(value)) for name, (place, value) in values.items()}


def moving(before: States, after: States) -> Moving:
    """What is another value after a call."""
    numbers, containers, iterators, others = [], [], [], []
    for name, (place, value, state) in after.items():
        _, old, old_state = before.get(name, (place, None, None))
        if state == _DRAWN:
            iterators.append(place)
        elif name not in before:
            others += [] if _is_item(place, after) else [name]
        elif is_number(value) and is_number(old):
            numbers += [MovedNumber(place, value, value - old)] if value != old else []
        elif state != old_state and type(value) in CONTAINERS and not place.is_fixed:
            containers.append(place)
        elif state != old_state:
            others.append(name)
    return Moving(tuple(numbers), tuple(containers), tuple(iterators), tuple(others))


def is_number(value: object) -> bool:
    """Whether a value is a number of Python that can be followed."""
    return type(value) in (int, float)


def state_of(value: Any, depth: int = 0) -> Any:
    """What of a value Python code may see: of tensors the shape, of containers size and keys.

    Items of containers and attributes of objects are in places of their own, as numbers are.
    """
    kind = type(value)
    if is_number(value):
        return "number" if depth == 0 else repr(value)
    if isinstance(value, Tensor):
        return kind, tuple(value.shape), value.dtype, value.requires_grad
    if value is None or isinstance(value, str | bytes | Number | np.generic | Enum):
        return kind, repr(value)
    if isinstance(value, np.ndarray):
        return kind, value.shape, value.tobytes() if value.size < _LARGE else b""
    if kind is set or kind is frozenset:
        return kind, frozenset(map(_key, value))
    if kind in CONTAINERS:
        return kind, len(value), tuple(map(_key, value)) if isinstance(value, dict) else ()
    if kind is tuple and depth < _DEEPEST:
        return kind, tuple(state_of(item, depth + 1) for item in value)
    if isinstance(value, Iterator) and not isinstance(value, io.IOBase):
        return _DRAWN
    return kind, _identity(value)


_DRAWN = "an iterator"


def _key(value: Any) -> Any:
    return value if isinstance(value, str | int | float) else state_of(value, 1)


def _identity(value: Any) -> Any:
    """Which one of its kind a value is; nothing of an object, whose attributes say it."""
    if isinstance(value, MethodType):
        return id(value.__func__), id(value.__self__)
    is_one = isinstance(value, FunctionType | BuiltinFunctionType | type | nn.Module)
    return id(value) if is_one else None


def _is_item(place: Place, after: States) -> bool:
    """Whether a new place is an item of a container, which is looked at by itself."""
    return any(value is place.holder for _, value, _ in after.values())
