"""Where Python holds what a forward may keep from one call to the next.

Attributes of modules, of their classes and of objects that they hold, items of their containers,
and what their methods, hooks and the loss read from outside: globals, closures, defaults, other
functions; and the environment of the process.
"""

from __future__ import annotations

import inspect
import os
import sys
import sysconfig
from argparse import Namespace
from collections import OrderedDict, defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from types import CellType, CodeType, FunctionType, ModuleType, SimpleNamespace
from typing import Any

from torch import nn

OF_TORCH = frozenset(vars(nn.Module()))
CONTAINERS = frozenset({list, dict, set, deque, OrderedDict, defaultdict})
_DEEPEST = 6
_LONGEST = 100
_WEFT = __name__.partition(".")[0]
_INSTALLED = tuple({sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib")})


@dataclass(frozen=True)
class Place:
    """Something that holds a value: an item of a container, an attribute, a cell of a closure."""

    name: str
    holder: Any
    key: Any

    def get(self) -> Any:
        """The value; None where there is none any more."""
        try:
            if isinstance(self.holder, CellType):
                return self.holder.cell_contents
            if isinstance(self.holder, dict | list | deque | tuple):
                return self.holder[self.key]
            return getattr(self.holder, self.key)
        except (LookupError, AttributeError, ValueError):
            return None

    @property
    def is_fixed(self) -> bool:
        """Whether no other value can be put there."""
        return isinstance(self.holder, tuple)

    def set(self, value: Any) -> None:
        """Put another value there."""
        if isinstance(self.holder, CellType):
            self.holder.cell_contents = value
        elif isinstance(self.holder, dict | list | deque):
            self.holder[self.key] = value
        else:
            setattr(self.holder, self.key, value)


def places(model: nn.Module, *functions: Any) -> list[Place]:
    """Where a model keeps something, and functions and objects beside it (a loss)."""
    search = _Search()
    for path, module in model.named_modules():
        if type(module).__module__.partition(".")[0] == _WEFT:
            continue  # its modules keep what recomputing a forward needs, nothing for the next one
        own = {key: value for key, value in vars(module).items() if key not in OF_TORCH}
        search.items(path, vars(module), own)
        search.kind(type(module))
        search.functions({**module._forward_hooks, **module._forward_pre_hooks}.values())
    for parameter in model.parameters():
        search.functions((parameter._backward_hooks or {}).values())
    for function in functions:
        search.value("loss", function)
    search.items("os.environ", os.environ, {"_data": vars(os.environ)["_data"]})
    return list(search.found.values())


class _Search:
    """The places found so far, and what was looked at."""

    def __init__(self) -> None:
        self.found: dict[str, Place] = {}
        self._seen: set[int] = set()

    def items(self, name: str, holder: Any, items: Mapping[Any, Any], depth: int = 0) -> None:
        """What a holder has under its keys."""
        for key, value in items.items():
            self._found(f"{name}.{key}".lstrip("."), holder, key, value, depth)

    def _found(self, name: str, holder: Any, key: Any, value: Any, depth: int) -> None:
        while name in self.found:
            name += "'"
        self.found[name] = Place(name, holder, key)
        if depth < _DEEPEST:
            self.value(name, value, depth + 1)

    def value(self, name: str, value: Any, depth: int = 0) -> None:
        """What is inside of a value."""
        if value is None or isinstance(value, str | int | float | nn.Module | type | ModuleType):
            return
        if isinstance(value, partial):
            self.value(name, (value.func, value.args, value.keywords), depth)
        value = inspect.unwrap(value) if callable(value) else value
        function = getattr(value, "__func__", value)
        if isinstance(function, FunctionType):
            self._function(function)
            value = getattr(value, "__self__", None)
        if id(value) in self._seen or isinstance(value, nn.Module):
            return
        kind = type(value)
        if kind in CONTAINERS or kind is tuple or _is_of_user(kind):
            self._seen.add(id(value))
            self._inside(name, value, depth)

    def functions(self, functions: Iterable[Any]) -> None:
        """What hooks read from outside."""
        for function in functions:
            self.value("hook", function)

    def kind(self, kind: type) -> None:
        """Attributes of a class and of its bases, and what its methods read."""
        for base in (base for base in kind.mro() if _is_of_user(base)):
            if id(base) in self._seen:
                continue
            self._seen.add(id(base))
            own = {k: v for k, v in vars(base).items() if not k.startswith("__")}
            slots = {k for k, v in own.items() if type(v).__name__ == "member_descriptor"}
            made = (FunctionType, property, staticmethod, classmethod)
            plain = {k: v for k, v in own.items() if k not in slots and not isinstance(v, made)}
            self.items(base.__name__, base, plain)
            for value in vars(base).values():
                value = value.fget if isinstance(value, property) else value
                self.value(base.__name__, value)

    def _inside(self, name: str, value: Any, depth: int) -> None:
        if isinstance(value, dict) and len(value) < _LONGEST:
            self.items(name, value, value, depth)
        elif isinstance(value, list | deque) and len(value) < _LONGEST:
            self.items(name, value, dict(enumerate(value)), depth)
        elif isinstance(value, tuple):
            self.items(name, value, dict(enumerate(value[:_LONGEST])), depth)
        elif _is_of_user(type(value)):
            if hasattr(value, "__dict__"):
                self.items(name, vars(value), vars(value), depth)
            slots = [s for base in type(value).mro() for s in vars(base).get("__slots__", ())]
            own = {slot: getattr(value, slot) for slot in slots if hasattr(value, slot)}
            self.items(name, value, own, depth)
            self.kind(type(value))

    def _function(self, function: FunctionType) -> None:
        if id(function) in self._seen or not _is_users(function.__module__ or ""):
            return
        self._seen.add(id(function))
        names = dict.fromkeys(_names(function.__code__))
        self._read("", function.__globals__, names)
        if vars(function):
            self.items(function.__name__, vars(function), vars(function))
        self._inside(function.__name__, function.__defaults__ or (), 0)
        self._inside(function.__name__, function.__kwdefaults__ or {}, 0)
        cells = function.__closure__ or ()
        for name, cell in zip(function.__code__.co_freevars, cells, strict=True):
            try:
                self._found(name, cell, None, cell.cell_contents, 1)
            except ValueError:  # not set yet
                continue

    def _read(self, where: str, own: dict[str, Any], names: Iterable[str]) -> None:
        """What a function reads of a module's names."""
        read = {name: own[name] for name in names if name in own}
        self.items(where, own, read, 1)
        for name, value in read.items():
            if isinstance(value, type):
                self.kind(value)
            elif isinstance(value, ModuleType) and _is_users(value.__name__):
                is_new = id(value) not in self._seen
                self._seen.add(id(value))
                self._read(name, vars(value), names if is_new else ())


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)


def _is_of_user(kind: type) -> bool:
    return kind in (SimpleNamespace, Namespace) or _is_users(kind.__module__)


@lru_cache(maxsize=4096)
def _is_users(module: str) -> bool:
    """Whether a module is no installed package: those keep no counts outside of modules of nn."""
    if module.partition(".")[0] in (_WEFT, "builtins"):
        return False
    file = getattr(sys.modules.get(module), "__file__", None)
    return file is None or not file.startswith(_INSTALLED)
