"""The products of a forward pass, each with the parameter that it multiplies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from .operators import operator_macs

_CONSTANT = ""
_BATCHED = ("bmm", "scaled_dot_product", "addbmm")
ParameterOwner = tuple[nn.Module, str]


@dataclass(frozen=True)
class CountedProduct:
    """Multiply-accumulates of one operator, the parameter among its operands, and the module that
    ran while it was multiplied, if it was told."""

    operator: str
    macs: int
    weight: str | None
    owner: ParameterOwner | None

    @property
    def is_batched(self) -> bool:
        """Whether it is one product per element of a batch, as those of attention are."""
        return any(part in self.operator for part in _BATCHED)

    @property
    def is_convolution(self) -> bool:
        """Whether it is a convolution."""
        return "convolution" in self.operator


class Products(TorchDispatchMode):
    """Lists the products of what runs under it, in order.

    `weights` are tensors by parameter name. What is computed from parameters and constants alone
    counts as the largest of these parameters: weight norm multiplies its directions. A parameter
    that is written to, as by masks in force, stays itself.
    """

    def __init__(self, weights: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.found: list[CountedProduct] = []
        self.running: dict[str, ParameterOwner] = {}
        self._sizes = {name: tensor.numel() for name, tensor in weights.items()} | {_CONSTANT: 0}
        self._origin = {_storage(tensor): name for name, tensor in weights.items()}
        self._own = frozenset(self._origin)
        self._alive: list[Any] = []

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        operands = [value for value in tree_leaves((args, kwargs)) if isinstance(value, Tensor)]
        origins = [self._origin.get(_storage(operand)) for operand in operands]
        macs = operator_macs(func, args, kwargs or {}, result)
        if macs:
            names = [name for name in (*origins[1:], *origins[:1]) if name]
            weight = names[0] if names else None
            owner = self.running.get(weight or "")
            self.found.append(CountedProduct(func._schema.name, macs, weight, owner))
        self._follow(origins, result)
        return result

    def _follow(self, origins: list[str | None], result: Any) -> None:
        """A result is of a parameter if all operands are of parameters or constants."""
        known = [name for name in origins if name is not None]
        is_fixed = len(known) == len(origins)
        largest = max(known, key=self._sizes.__getitem__, default=_CONSTANT)
        for value in tree_leaves(result):
            if isinstance(value, Tensor) and is_fixed:
                self._alive.append(value.untyped_storage())  # so that its number is not reused
                self._origin.setdefault(_storage(value), largest)
            elif isinstance(value, Tensor) and _storage(value) not in self._own:
                self._origin.pop(_storage(value), None)


def _storage(tensor: Tensor) -> int:
    return tensor.untyped_storage()._cdata
