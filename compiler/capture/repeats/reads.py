"""What a module's forward depends on beside its arguments and tensors: the attributes it reads.

Every class of the model whose source is not torch's is watched: reading an attribute is noted,
setting one makes the trace of the moment unfit to stand for another.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn

from .structure import attributes, identity, is_of_torch

AttributeRead = tuple[int, str]
"""A module (see `identity`) and the name of one of its attributes."""


class AttributeReads:
    """The attributes read by the traces that are under way, innermost last."""

    def __init__(self, modules: Iterable[nn.Module]) -> None:
        own = [module for module in modules if not is_of_torch(type(module))]
        self.classes = {type(module) for module in own}
        self.names = {name for module in own for name in attributes(module)}
        self.open: list[set[AttributeRead]] = []
        self.is_pure: list[bool] = []

    def begin(self) -> None:
        """From here on, note reads for one more trace."""
        self.open.append(set())
        self.is_pure.append(True)

    def end(self) -> tuple[set[AttributeRead], bool]:
        """What the innermost trace read, and whether it left all modules as they were."""
        return self.open.pop(), self.is_pure.pop()

    def note(self, read: AttributeRead) -> None:
        """The attribute counts as read by all traces under way."""
        for reads in self.open:
            reads.add(read)

    def spoil(self) -> None:
        """None of the traces under way can stand for another."""
        self.is_pure = [False] * len(self.is_pure)

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Watch all classes of the modules."""
        kept = [(kind, name, vars(kind).get(name)) for kind in self.classes for name in _WATCHED]
        watched = [
            (k, self._reading(k.__getattribute__), self._writing(k.__setattr__))
            for k in self.classes
        ]
        try:
            for kind, get, put in watched:
                kind.__getattribute__ = get  # type: ignore[assignment]
                kind.__setattr__ = put  # type: ignore[assignment]
            yield
        finally:
            for kind, name, before in kept:
                delattr(kind, name) if before is None else setattr(kind, name, before)

    def _reading(self, get: Callable[[Any, str], Any]) -> Callable[[Any, str], Any]:
        def reading(module: Any, name: str) -> Any:
            if self.open:
                if name in self.names:
                    self.note((identity(module), name))
                elif name == "__dict__" and not _is_torch(sys._getframe(1).f_globals):
                    self.spoil()
            return get(module, name)

        return reading

    def _writing(self, put: Callable[[Any, str, Any], None]) -> Callable[[Any, str, Any], None]:
        def writing(module: Any, name: str, value: Any) -> None:
            if name != "__dict__":  # which torch.export sets on the look-alikes it makes
                self.spoil()
            put(module, name, value)

        return writing


_WATCHED = ("__getattribute__", "__setattr__")


def _is_torch(names: dict[str, Any]) -> bool:
    return str(names.get("__name__")).partition(".")[0] == "torch"
