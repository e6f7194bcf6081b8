"""Numbers of Python that a forward may keep from one call to the next, and where they are.

Attributes of modules, of their classes and of objects that they hold, entries of their lists and
dicts, and what their methods and the loss read from outside: globals, closures, other functions.
"""

from __future__ import annotations

import sys
import sysconfig
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import CellType, CodeType, FunctionType, ModuleType
from typing import Any

from torch import nn

from ..capture.capture import own_name
from ..capture.sample import OneSample

_OF_TORCH = frozenset(vars(nn.Module()))
_DEEPEST = 2
_LONGEST = 100
_INSTALLED = tuple({sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib")})


@dataclass(frozen=True)
class NumberPlace:
    """A number, by the name of where it is."""

    name: str
    get: Callable[[], Any]
    set: Callable[[int | float], None]


def places(sample: OneSample) -> list[NumberPlace]:
    """Where a model and its loss keep numbers."""
    search = _Search()
    for path, module in sample.named_modules():
        if path:
            own = {key: value for key, value in vars(module).items() if key not in _OF_TORCH}
            search.items(own_name(path).removeprefix("model"), vars(module), own)
            search.kind(type(module))
            hooks = {**module._forward_hooks, **module._forward_pre_hooks}
            search.functions(hooks.values())
    for parameter in sample.parameters():
        search.functions((parameter._backward_hooks or {}).values())
    search.value("loss", sample.loss)
    return list(search.found.values())


class _Search:
    """The places found so far, and what was looked at."""

    def __init__(self) -> None:
        self.found: dict[str, NumberPlace] = {}
        self._seen: set[int] = set()

    def items(self, name: str, where: Any, items: Mapping[Any, Any], depth: int = 0) -> None:
        """What a dict, a list or the dict of an object holds."""
        for key, value in items.items():
            inner = f"{name}.{key}".lstrip(".")
            if _is_number(value):
                set_ = where.__setitem__
                self.found[inner] = NumberPlace(inner, _getting(where, key), _setting(set_, key))
            elif depth < _DEEPEST:
                self.value(inner, value, depth + 1)

    def value(self, name: str, value: Any, depth: int = 0) -> None:
        """What is inside of a value that is no number itself."""
        function = getattr(value, "__func__", value)
        if id(function) in self._seen or isinstance(value, nn.Module | type | ModuleType):
            return
        if isinstance(function, FunctionType):
            self._seen.add(id(function))
            self._function(function)
            value = getattr(value, "__self__", None)
        if type(value) is dict:
            self.items(name, value, value, depth)
        elif type(value) is list and len(value) < _LONGEST:
            self.items(name, value, dict(enumerate(value)), depth)
        elif _is_of_user(type(value)) and hasattr(value, "__dict__"):
            self.items(name, vars(value), vars(value), depth)
            self.kind(type(value))

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
            for key, value in vars(base).items():
                name, function = f"{base.__name__}.{key}", getattr(value, "__func__", value)
                if _is_number(value) and not key.startswith("__"):
                    set_ = _attributes(base)
                    self.found[name] = NumberPlace(
                        name, _getting(vars(base), key), _setting(set_, key)
                    )
                elif isinstance(function, FunctionType):
                    self.value(name, function)

    def _function(self, function: FunctionType) -> None:
        if not _is_users(function.__module__ or ""):
            return
        names = [name for name in _names(function.__code__) if name in function.__globals__]
        read = {name: function.__globals__[name] for name in names}
        self.items("global ", function.__globals__, read, _DEEPEST - 1)
        for kind in (value for value in read.values() if isinstance(value, type)):
            self.kind(kind)
        cells = function.__closure__ or ()
        for name, cell in zip(function.__code__.co_freevars, cells, strict=True):
            self._cell(name, cell)

    def _cell(self, name: str, cell: CellType) -> None:
        try:
            value = cell.cell_contents
        except ValueError:  # not set yet
            return
        if _is_number(value):
            set_ = _cells(cell)
            self.found[name] = NumberPlace(name, lambda: cell.cell_contents, _setting(set_, ""))
        else:
            self.value(name, value, 1)


def _is_number(value: object) -> bool:
    return type(value) in (int, float)


def _getting(where: Any, key: Any) -> Callable[[], Any]:
    def get() -> Any:
        try:
            return where[key]
        except (KeyError, IndexError):  # a call has taken it away
            return None

    return get


def _setting(set_: Callable[[Any, Any], None], key: Any) -> Callable[[Any], None]:
    return lambda value: set_(key, value)


def _attributes(kind: type) -> Callable[[Any, Any], None]:
    return lambda key, value: setattr(kind, key, value)


def _cells(cell: CellType) -> Callable[[Any, Any], None]:
    return lambda _, value: setattr(cell, "cell_contents", value)


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)


def _is_of_user(kind: type) -> bool:
    return _is_users(kind.__module__)


@lru_cache(maxsize=4096)
def _is_users(module: str) -> bool:
    """Whether a module is no installed package: those keep no counts outside of modules of nn."""
    if module.partition(".")[0] in ("weft", "builtins"):
        return False
    file = getattr(sys.modules.get(module), "__file__", None)
    return file is None or not file.startswith(_INSTALLED)
