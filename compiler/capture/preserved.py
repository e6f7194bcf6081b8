"""Runs a module and leaves it as it was: attributes, buffers, gradients, random generators."""

from __future__ import annotations

import random
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor
from torch.overrides import TorchFunctionMode

_CONTAINERS = frozenset({list, dict, set, OrderedDict})


@contextmanager
def preserved(model: nn.Module) -> Iterator[None]:
    """Whatever runs inside, the model's attributes, buffers and gradients, and the generators of
    torch, Python and numpy, are afterwards as before.

    Attributes that are lists, dicts or sets get their items back; what lies deeper is not looked
    at. Values of parameters and buffers are those that the caller swaps in and out.
    """
    modules = [(module, attributes(module)) for module in model.modules()]
    parameters = [(p, p.grad, p.requires_grad) for p in model.parameters()]
    generators = torch.get_rng_state(), random.getstate(), np.random.get_state()
    for parameter, *_ in parameters:
        parameter.grad = None
    try:
        yield
    finally:
        for module, before in modules:
            _restore(module, before)
        for parameter, gradient, is_trained in parameters:
            parameter.requires_grad_(is_trained).grad = gradient
        torch.set_rng_state(generators[0])
        random.setstate(generators[1])
        np.random.set_state(generators[2])


def attributes(
    module: nn.Module, left_out: Collection[str] = frozenset()
) -> dict[str, tuple[Any, Any]]:
    """Every attribute, but for those `left_out`, with the items it holds, if it is a container."""
    own = vars(module).items()
    return {name: (value, _items(value)) for name, value in own if name not in left_out}


def _items(value: Any) -> Any:
    """A copy of a container; of an empty one, as most are, nothing is made."""
    if type(value) not in _CONTAINERS:
        return None
    return value.copy() if value else ()


def _restore(module: nn.Module, before: Mapping[str, tuple[Any, Any]]) -> None:
    for value, items in before.values():
        if items is not None:
            value.clear()
            value.extend(items) if isinstance(value, list) else value.update(items)
    vars(module).clear()
    vars(module).update({name: value for name, (value, _) in before.items()})


@contextmanager
def swapped(model: nn.Module, values: Mapping[int, Tensor]) -> Iterator[None]:
    """Tensors of a module, by their ids, hold other values, of another type too, and afterwards
    their own.

    They stay the objects they are, so whoever holds one reads the other values; those without
    numbers (on the meta device) are replaced by new ones in their modules, and by these in what
    operators are given.
    """
    places = [
        (tensors, name, value)
        for module in model.modules()
        for tensors in (module._parameters, module._buffers)
        for name, value in tensors.items()
        if value is not None and id(value) in values
    ]
    before = {id(value): (value, value.data) for _, _, value in places}
    made: dict[int, Tensor] = {}
    try:
        for tensors, name, value in places:
            if _is_alike(value, values[id(value)]):
                value.data = values[id(value)]
            else:
                made.setdefault(id(value), _stand_in(value, values[id(value)]))
                tensors[name] = made[id(value)]  # type: ignore[assignment]
        with _Reached(made) if made else nullcontext():
            yield
    finally:
        for tensors, name, value in places:
            tensors[name] = value  # type: ignore[assignment]
        for key, (value, data) in before.items():
            if key not in made:
                value.data = data


class _Reached(TorchFunctionMode):
    """Operators on a tensor that has a stand-in, reached through a list, take the stand-in."""

    def __init__(self, made: Mapping[int, Tensor]) -> None:
        super().__init__()
        self.made = made

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        return func(*map(self._own, args), **{k: self._own(v) for k, v in (kwargs or {}).items()})

    def _own(self, value: Any) -> Any:
        if type(value) in (list, tuple):
            return type(value)(map(self._own, value))
        return self.made.get(id(value), value) if isinstance(value, Tensor) else value


def _is_alike(value: Tensor, other: Tensor) -> bool:
    is_fake = isinstance(value, FakeTensor) or isinstance(other, FakeTensor)
    return value.device.type == other.device.type and not is_fake


def _stand_in(value: Tensor, numbers: Tensor) -> Tensor:
    """A tensor of the same kind with numbers, and with the same hooks."""
    if not isinstance(value, nn.Parameter):
        return numbers
    made = nn.Parameter(numbers, requires_grad=value.requires_grad)
    for hook in (value._backward_hooks or {}).values():
        made.register_hook(hook)
    return made
