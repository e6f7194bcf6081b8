"""Which parts of a target a computation reads, so that its result serves every target with these.

prices = ByReads()
prices("stem", target, price)
prices("stem", other, price)    # the same, not made again, if `price` read nothing that differs
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from dataclasses import fields
from typing import Any, ClassVar, Generic, TypeVar

from .target import Target

V = TypeVar("V")

_FIELDS = frozenset(field.name for field in fields(Target))


class ByReads(Generic[V]):
    """Values of pure functions of a target, by a name and by the fields of the target that were
    read to make them."""

    def __init__(self) -> None:
        self._fields: dict[Hashable, set[tuple[str, ...]]] = {}
        self._found: OrderedDict[Hashable, V] = OrderedDict()

    def __call__(self, name: Hashable, target: Target, make: Callable[[Target], V]) -> V:
        """The value of a target, made if there is none of one that is alike in all it reads.

        It must not keep the target that it is made with.
        """
        for names in self._fields.get(name, ()):
            key = name, names, values_of(target, names)
            if key in self._found:
                self._found.move_to_end(key)
                return self._found[key]
        read: set[str] = set()
        value = make(_watched(target, read))
        names = tuple(sorted(read))
        self._fields.setdefault(name, set()).add(names)
        self._found[name, names, values_of(target, names)] = value
        return value

    def __iter__(self) -> Iterator[V]:
        """All values, the one that was used last at the end."""
        return iter(self._found.values())

    @property
    def fields_read(self) -> frozenset[tuple[str, ...]]:
        """What values were made from: names of fields of the target."""
        return frozenset(names for found in self._fields.values() for names in found)

    def clear(self) -> None:
        """Forgets all values."""
        self._found.clear()

    def drop_first(self) -> V:
        """Forgets the value that was not used for the longest time."""
        return self._found.popitem(last=False)[1]


class _Watched(Target):
    """A target that notes which of its fields are read; properties read fields, too. To make
    another one of it, all fields are read."""

    _read: ClassVar[set[str]] = set()

    def __getattribute__(self, name: str) -> Any:
        if name in _FIELDS:
            object.__getattribute__(self, "_read").add(name)
        return object.__getattribute__(self, name)


def _watched(target: Target, read: set[str]) -> Target:
    """Equal to `target`, without what that keeps of earlier computations. Of a target that is
    watched itself nothing is read."""
    watched = object.__new__(_Watched)
    given = object.__getattribute__(target, "__dict__")
    watched.__dict__.update({name: given[name] for name in _FIELDS}, _read=read)
    return watched


def values_of(target: Target, names: tuple[str, ...]) -> tuple[Hashable, ...]:
    """The fields of a target, as a key: equal for targets that agree in them."""
    return tuple(_hashable(getattr(target, name)) for name in names)


def _hashable(value: Any) -> Hashable:
    return tuple(sorted(value.items())) if isinstance(value, dict) else value
