"""Which modules of a model are built alike.

Two modules are if they have the same class, parameters and buffers of the same names, shapes and
dtypes, attributes of the same names, and submodules that are built alike. A module with hooks, with
a `forward` of its own or with a tensor that is reachable in another way is like no other.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

_INTERNAL = frozenset(vars(nn.Module())) - {"training"}
_HOOKS = tuple(name for name in _INTERNAL if name.endswith(("_hooks", "_pre_hooks")))
_PLAIN = (
    bool,
    int,
    float,
    complex,
    str,
    bytes,
    type(None),
    torch.dtype,
    torch.device,
    torch.layout,
    torch.memory_format,
)


@dataclass(frozen=True, eq=False)
class RepeatedModule:
    """A module with others like it: its name in the model, and the number of its structure.

    `modules` are itself, called '', and its submodules by their paths in it; `places` are these
    paths by the modules' identities.
    """

    name: str
    structure: int
    modules: Mapping[str, nn.Module]
    places: Mapping[int, str]


def repeated(model: nn.Module) -> dict[int, RepeatedModule]:
    """The modules with submodules that are built like two others, by identity of their attributes.

    Two alike are traced anyway, one as the other's witness.
    """
    structures = _Structures(model)
    named = {name: structures.of(module) for name, module in model.named_modules()}
    counts = Counter(number for number in named.values() if number is not None)
    found: dict[int, RepeatedModule] = {}
    for name, module in model.named_modules():
        number = named[name]
        if number is not None and counts[number] > 2 and any(module.children()):
            modules = dict(module.named_modules())
            places = {identity(inner): path for path, inner in modules.items()}
            found[identity(module)] = RepeatedModule(name, number, modules, places)
    return found


def identity(module: nn.Module) -> int:
    """Which module it is; torch.export hands out look-alikes that share the attributes."""
    return id(_variables(module))


def attributes(module: nn.Module) -> dict[str, Any]:
    """What the module holds beside parameters, buffers and submodules."""
    return {name: value for name, value in _variables(module).items() if name not in _INTERNAL}


def _variables(module: nn.Module) -> dict[str, Any]:
    """The module's attributes; not by way of its class, which may be watched (reads.py)."""
    return object.__getattribute__(module, "__dict__")


def frozen(value: Any) -> Hashable:
    """A value to compare: plain data by what it says, anything else by identity."""
    if isinstance(value, _PLAIN):
        return type(value).__name__, repr(value)
    if isinstance(value, list | tuple):
        return type(value).__name__, tuple(map(frozen, value))
    if isinstance(value, dict):
        return "dict", tuple((frozen(key), frozen(item)) for key, item in value.items())
    return "object", id(value)


def is_plain(value: Any) -> bool:
    """Whether the value is plain data that nobody can change."""
    return isinstance(value, _PLAIN)


def is_of_torch(kind: type) -> bool:
    """Whether a class is one of torch's own."""
    return kind.__module__.partition(".")[0] == "torch"


class _Structures:
    """Numbers structures; None for a module that is like no other."""

    def __init__(self, model: nn.Module) -> None:
        names = Counter(id(tensor) for tensor in _tensors(model))
        self.shared = {key for key, count in names.items() if count > 1}
        self.numbers: dict[Hashable, int] = {}
        self.known: dict[int, int | None] = {}

    def of(self, module: nn.Module) -> int | None:
        key = identity(module)
        if key not in self.known:
            described = self._described(module)
            number = self.numbers.setdefault(described, len(self.numbers))
            self.known[key] = None if described is None else number
        return self.known[key]

    def _described(self, module: nn.Module) -> Hashable:
        children = tuple((name, self.of(child)) for name, child in module.named_children())
        if any(number is None for _, number in children) or self._is_special(module):
            return None
        own = attributes(module)
        names = frozen(own) if is_of_torch(type(module)) else tuple(sorted(own))
        tensors = (module._parameters, module._buffers)
        return type(module), names, tuple(map(_described_tensors, tensors)), children

    def _is_special(self, module: nn.Module) -> bool:
        own = (*module._parameters.values(), *module._buffers.values())
        return (
            "forward" in _variables(module)
            or any(_variables(module).get(name) for name in _HOOKS)
            or any(id(tensor) in self.shared for tensor in own if tensor is not None)
        )


def _tensors(model: nn.Module) -> Iterator[Tensor]:
    for _, module in model.named_modules(remove_duplicate=False):
        for tensor in (*module._parameters.values(), *module._buffers.values()):
            if tensor is not None:
                yield tensor


def _described_tensors(tensors: Mapping[str, Tensor | None]) -> Hashable:
    return tuple((name, _described_tensor(tensor)) for name, tensor in tensors.items())


def _described_tensor(tensor: Tensor | None) -> Hashable:
    if tensor is None:
        return None
    return type(tensor), tuple(tensor.shape), tensor.stride(), *_kind(tensor)


def _kind(tensor: Tensor) -> tuple[Hashable, ...]:
    return tensor.dtype, tensor.device, tensor.requires_grad
