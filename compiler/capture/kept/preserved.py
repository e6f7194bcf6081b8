"""Runs a module and leaves it as it was: attributes, buffers, gradients, random generators."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor
from torch.overrides import TorchFunctionMode

from .places import CONTAINERS, places

_LARGE = 100_000
"""Arrays of numpy that are larger are not kept. [elements]"""


@contextmanager
def preserved(model: nn.Module) -> Iterator[None]:
    """Whatever runs inside, the model's attributes, buffers and gradients, and the generators of
    torch, Python and numpy, are afterwards as before.

    So are objects that the model holds, what its functions read from outside, and items of
    containers (see `places`). Values of parameters and buffers are those that the caller swaps in
    and out.
    """
    held = [(p, value := p.get(), items_of(value)) for p in places(model, vars(model).get("loss"))]
    modules = [(module, _attributes(module)) for module in model.modules()]
    parameters = [(p, p.grad, p.requires_grad) for p in model.parameters()]
    generators = torch.get_rng_state(), random.getstate(), np.random.get_state()
    for parameter, *_ in parameters:
        parameter.grad = None
    try:
        yield
    finally:
        for _, value, items in held:
            _restore_items(value, items)
        for place, value, _ in held:
            if place.get() is not value and not place.is_fixed:
                place.set(value)
        for module, before in modules:
            _restore(module, before)
        for parameter, gradient, is_trained in parameters:
            parameter.requires_grad_(is_trained).grad = gradient
        torch.set_rng_state(generators[0])
        random.setstate(generators[1])
        np.random.set_state(generators[2])


def _attributes(module: nn.Module) -> dict[str, tuple[Any, Any]]:
    return {name: (value, items_of(value)) for name, value in vars(module).items()}


def items_of(value: Any) -> Any:
    """A copy of a container; of an empty one, as most are, nothing is made."""
    if isinstance(value, np.ndarray):
        return value.copy() if value.size < _LARGE else None
    if type(value) not in CONTAINERS:
        return None
    return value.copy() if value else ()


def _restore(module: nn.Module, before: Mapping[str, tuple[Any, Any]]) -> None:
    for value, items in before.values():
        _restore_items(value, items)
    vars(module).clear()
    vars(module).update({name: value for name, (value, _) in before.items()})


def _restore_items(value: Any, items: Any) -> None:
    if items is None:
        return
    if isinstance(value, np.ndarray):
        value[...] = items
        return
    value.clear()
    value.extend(items) if isinstance(value, list | deque) else value.update(items)


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
