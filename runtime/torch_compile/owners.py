"""Whose tensors a compiled graph was run with: dynamo runs one graph for all models of a kind."""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from itertools import count, groupby

from torch import Tensor

from .roles import Role

_numbers: Iterator[int] = count()


@dataclass(frozen=True)
class Owner:
    """Parameters and buffers of one training call, not kept alive; `number` in order of calls."""

    number: int
    references: Mapping[Role, weakref.ref[Tensor]]

    def tensors(self) -> dict[str, Tensor]:
        """Those that still exist, by name."""
        found = {role.name: reference() for role, reference in self.references.items()}
        return {name: value for name, value in found.items() if value is not None}

    def holds(self, own: Mapping[Role, Tensor]) -> bool:
        """Whether these are the very same tensors."""
        return all(self.references[role]() is value for role, value in own.items())

    def is_alive(self) -> bool:
        """Whether all of its tensors still exist."""
        return all(reference() is not None for reference in self.references.values())

    def is_of(self, own: Set[int]) -> bool:
        """Whether a model with tensors of these ids was called: all it was read for are its own."""
        by_root = groupby(sorted(self.references, key=_root), key=_root)
        return any(all(id(self.references[r]()) in own for r in roles) for _, roles in by_root)


class Owners:
    """All models that one compiled graph was trained with."""

    def __init__(self) -> None:
        self._owners: list[Owner] = []

    def add(self, own: Mapping[Role, Tensor]) -> None:
        """Remember a call with these tensors, the latest call last."""
        for index, owner in enumerate(self._owners):
            if owner.holds(own):
                self._owners.append(self._owners.pop(index))
                return
        references = {role: weakref.ref(value) for role, value in own.items()}
        living = [owner for owner in self._owners if owner.is_alive()]
        self._owners = [*living, Owner(next(_numbers), references)]

    def of(self, own: Set[int]) -> Owner | None:
        """The model with tensors of these ids: its latest call."""
        return next((owner for owner in reversed(self._owners) if owner.is_of(own)), None)


def _root(role: Role) -> str:
    return role.root
