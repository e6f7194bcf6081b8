"""Values that take the place of what moves from call to call, and tell how a forward reads it.

A number that is compared can be told to come out the other way, so that the branch of another
call is taken in this one. A container or an iterator tells that it is read at all.
"""

from __future__ import annotations

import dis
import operator
import sys
from collections import defaultdict, deque
from collections.abc import Callable, Collection, Iterator
from types import FrameType
from typing import Any

from ..capture.source_lines import portable

Site = tuple[str, int, int]
"""Where in a program something is decided: file, line, instruction."""
_COMPARED = ("lt", "le", "gt", "ge", "eq", "ne")
_BINARY = (
    *("add", "sub", "mul", "truediv", "floordiv", "mod", "pow"),
    *("and", "or", "xor", "lshift", "rshift"),
)
_UNARY = ("neg", "pos", "abs")
_READS = (
    *("__len__", "__getitem__", "__iter__", "__contains__", "__eq__", "__reversed__", "__add__"),
    *("__mul__", "__or__", "__and__", "__sub__", "pop", "popitem", "popleft", "index", "count"),
    *("copy", "get", "keys", "values", "items", "setdefault"),
    *("union", "difference", "intersection", "issubset", "issuperset", "isdisjoint"),
)


class Watch:
    """Notes where probes decide, inside of one call; decisions in `turned` come out the other way.

    `unfollowed` is where a probe was read in a way that no other outcome can be tried of.
    """

    def __init__(self, turned: Collection[Site] = ()) -> None:
        self.turned = turned
        self.is_on = False
        self.decisions: dict[Site, None] = {}
        self.unfollowed: Site | None = None
        self._kinds: dict[type, type] = {}

    def number(self, value: int | float) -> float:
        """A probe in the place of a number."""
        return _Probe(value, self)

    def container(self, value: Any) -> Any:
        """A probe with the items of a container."""
        kind = type(value)
        if kind not in self._kinds:
            reads = {n: self._noting(getattr(kind, n)) for n in _READS if hasattr(kind, n)}
            self._kinds[kind] = type(kind.__name__, (kind,), reads)
        made = self._kinds[kind]
        if isinstance(value, defaultdict):
            return made(value.default_factory, value)
        return made(value, value.maxlen) if isinstance(value, deque) else made(value)

    def iterator(self) -> Iterator[Any]:
        """A probe in the place of an iterator, from which nothing can be drawn."""
        return _Drawn(self)

    def decide(self, outcome: bool, frame: FrameType) -> bool:
        """The outcome of a decision that a frame asks for, or the other one."""
        if not self.is_on:
            return outcome
        site = _site(frame)
        self.decisions[site] = None
        return outcome != (site in self.turned)

    def note(self, frame: FrameType) -> None:
        """A probe is read in a frame."""
        if self.is_on and self.unfollowed is None:
            self.unfollowed = _site(frame)

    def _noting(self, method: Callable[..., Any]) -> Callable[..., Any]:
        def read(own: Any, *args: Any, **named: Any) -> Any:
            self.note(sys._getframe(1))
            return method(own, *args, **named)

        return read


def _site(frame: FrameType) -> Site:
    return portable(frame.f_code.co_filename), frame.f_lineno, frame.f_lasti


class _Drawn:
    def __init__(self, watch: Watch) -> None:
        self.watch = watch

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        self.watch.note(sys._getframe(1))
        raise StopIteration


class _Probe(float):
    """A number that stays one in arithmetic, whole ones too: torch takes it for a float."""

    plain: int | float
    watch: Watch

    def __new__(cls, value: int | float, watch: Watch) -> _Probe:
        made = super().__new__(cls, value)
        made.plain, made.watch = value, watch
        return made

    def __hash__(self) -> int:
        if _opcode(sys._getframe(1)) != "STORE_SUBSCR":  # looked up, and not only filed
            self.watch.note(sys._getframe(1))
        return hash(self.plain)

    def __bool__(self) -> bool:
        return self.watch.decide(bool(self.plain), sys._getframe(1))

    def __int__(self) -> int:
        self.watch.note(sys._getframe(1))
        return int(self.plain)

    def __index__(self) -> int:
        self.watch.note(sys._getframe(1))
        return operator.index(self.plain)  # type: ignore[arg-type]

    def __float__(self) -> float:
        self.watch.note(sys._getframe(1))
        return float(self.plain)

    def __round__(self, ndigits: Any = None) -> Any:
        return _like(self, round(self.plain, ndigits))

    def __str__(self) -> str:
        return str(self.plain)

    def __repr__(self) -> str:
        return repr(self.plain)

    def __format__(self, spec: str) -> str:
        return format(self.plain, spec)

    def __reduce__(self) -> Any:
        return type(self.plain), (self.plain,)


def _plain(value: Any) -> Any:
    return value.plain if isinstance(value, _Probe) else value


def _like(probe: _Probe, value: Any) -> Any:
    return _Probe(value, probe.watch) if type(value) in (int, float) else value


def _computing(function: Callable[..., Any], is_reflected: bool = False) -> Callable[..., Any]:
    def compute(probe: _Probe, *others: Any) -> Any:
        operands = [probe.plain, *map(_plain, others)]
        return _like(probe, function(*(reversed(operands) if is_reflected else operands)))

    return compute


def _comparing(function: Callable[[Any, Any], Any]) -> Callable[..., Any]:
    def compare(probe: _Probe, other: Any) -> Any:
        outcome = function(probe.plain, _plain(other))
        if not isinstance(outcome, bool):
            return outcome
        return probe.watch.decide(outcome, sys._getframe(1))

    return compare


def _opcode(frame: FrameType) -> str:
    return dis.opname[frame.f_code.co_code[frame.f_lasti]]


for _name in _COMPARED:
    setattr(_Probe, f"__{_name}__", _comparing(getattr(operator, f"__{_name}__")))
for _name in (*_BINARY, *_UNARY):
    setattr(_Probe, f"__{_name}__", _computing(getattr(operator, f"__{_name}__")))
for _name in _BINARY:
    setattr(_Probe, f"__r{_name}__", _computing(getattr(operator, f"__{_name}__"), True))
