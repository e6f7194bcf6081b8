"""The trace of a model whose repeated blocks run twice at most.

The first call of a block is traced between two marks, the second (its witness) as well. From the
third on a call is one operator, if all that the first depended on is the same.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial, wraps
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from ..source_lines import calling_line
from .arguments import Given, ResultShape, given, rebuilt, returned
from .operators import AGAIN, ENTER, LEAVE, body_text
from .reads import AttributeReads
from .structure import RepeatedModule, attributes, frozen, identity, repeated


@dataclass
class TracedBody:
    """A traced call: which attributes (path of the submodule, name) it read, with their values,
    and what it returned, as `text` for the operator. `witness` is another traced call that agrees.
    """

    call: int
    reads: Mapping[tuple[Any, str], Hashable]
    shape: ResultShape
    text: str
    witness: int | None = None

    def fits(self, instance: RepeatedModule) -> bool:
        """Whether the instance has all that was read."""
        own = {path: attributes(instance.modules[path]) for path, _ in self.reads}
        return all(frozen(own[path][name]) == value for (path, name), value in self.reads.items())


class Recorder:
    """Traced bodies by what they were called with, and the instance of each call by its number."""

    def __init__(self, model: nn.Module) -> None:
        self.instances = repeated(model)
        modules = [m for instance in self.instances.values() for m in instance.modules.values()]
        self.reads = AttributeReads(modules)
        self.calls: dict[int, RepeatedModule] = {}
        self.witnesses: dict[int, int] = {}
        self._bodies: dict[Hashable, list[TracedBody]] = {}
        self._open: list[RepeatedModule] = []

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Calls of the repeated modules go through this recorder."""
        kinds = {type(instance.modules[""]) for instance in self.instances.values()}
        kept = {kind: vars(kind).get("forward") for kind in kinds}
        wrapped = {kind: self._recorded(kind.forward) for kind in kinds}
        try:
            for kind, forward in wrapped.items():
                kind.forward = forward
            with self.reads.watching():
                yield
        finally:
            for kind, forward in kept.items():
                delattr(kind, "forward") if forward is None else setattr(kind, "forward", forward)

    def _recorded(self, forward: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(forward)
        def recorded(module: nn.Module, *args: Any, **kwargs: Any) -> Any:
            instance = self.instances.get(identity(module))
            is_open = instance in self._open
            arrived = None if is_open else given(args, kwargs)
            run = partial(forward, module, *args, **kwargs)
            if instance is None or arrived is None:
                return run()
            return self._call(instance, arrived, run)

        return recorded

    def _call(self, instance: RepeatedModule, arrived: Given, run: Callable[[], Any]) -> Any:
        key = instance.structure, arrived.described, _surroundings()
        bodies = self._bodies.setdefault(key, [])
        body = next((body for body in bodies if body.fits(instance)), None)
        if body is not None and body.witness is not None:
            return self._again(body, instance, arrived)
        result, own = self._traced(instance, arrived, run)
        if body is None and own is not None:
            bodies.append(own)
        elif body is not None and own is not None and _agree(body, own):
            body.witness = own.call
            self.witnesses[own.call] = body.call
        elif body is not None:
            bodies[bodies.index(body)] = own or body
        return result

    def _again(self, body: TracedBody, instance: RepeatedModule, arrived: Given) -> Any:
        for path, name in body.reads:
            self.reads.note((identity(instance.modules[path]), name))
        results = AGAIN(list(arrived.operands), self._begin(instance), body.text)
        return rebuilt(body.shape, arrived.operands, results)

    def _traced(
        self, instance: RepeatedModule, arrived: Given, run: Callable[[], Any]
    ) -> tuple[Any, TracedBody | None]:
        """The result of the call, and its trace if that can stand for others."""
        call, before = self._begin(instance), _values(instance)
        ENTER(list(arrived.operands), call)
        self._open.append(instance)
        self.reads.begin()
        with _NoNewConstants(self.reads.spoil):
            result = run()
        reads, is_pure = self.reads.end()
        self._open.pop()
        found = returned(result, arrived.operands)
        if found is None or not arrived.is_unchanged():
            return result, None
        LEAVE(list(found[0]), call)
        after = _values(instance)
        names = [(instance.places.get(module), name) for module, name in reads]
        if not is_pure or any(before.get(name, 0) != after.get(name, 1) for name in names):
            return result, None
        values = {name: after[name] for name in names}
        return result, TracedBody(call, values, found[1], body_text(call, found[0]))

    def _begin(self, instance: RepeatedModule) -> int:
        """The number of a call."""
        call = len(self.calls)
        self.calls[call] = instance
        return call


class _NoNewConstants(TorchFunctionMode):
    """A tensor made of numbers becomes a constant of the program, which a copy would share."""

    def __init__(self, spoil: Callable[[], None]) -> None:
        self.spoil = spoil

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        if func is torch.tensor:
            self.spoil()
        return func(*args, **(kwargs or {}))


def _values(instance: RepeatedModule) -> dict[tuple[Any, str], Hashable]:
    """All attributes of the instance and its submodules, by path and name."""
    return {
        (path, name): frozen(value)
        for path, module in instance.modules.items()
        for name, value in attributes(module).items()
    }


def _agree(one: TracedBody, other: TracedBody) -> bool:
    return one.reads == other.reads and one.shape.described == other.shape.described


def _surroundings() -> Hashable:
    """What operators and the places of their lines depend on beside arguments."""
    autocast = tuple(map(torch.is_autocast_enabled, ("cpu", "cuda")))
    return torch.is_grad_enabled(), autocast, torch.get_default_dtype(), calling_line()
