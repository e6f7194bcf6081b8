"""Masks attached to the modules that own the weights, so that copies take them along."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle
from torch.utils.weak import WeakIdKeyDictionary

from ...errors import UserError
from ...parameters import ParameterPlace, places
from .checkpoint import loaded_without_masks
from .select import kept


@dataclass
class HeldMask:
    """The mask in force on a parameter, and whether it will change.

    A copy's mask has no optimizer to belong to: it stays as it was when the copy was made. On the
    meta device a mask has no values, but a share of zeros.
    """

    mask: Tensor
    is_dynamic: bool = False
    is_copy: bool = False
    share_of_zeros: float | None = None


_held: WeakIdKeyDictionary = WeakIdKeyDictionary()
"""Parameter -> Held."""


def held(parameter: Tensor) -> HeldMask | None:
    """What is in force on a parameter."""
    return _held.get(parameter)


def masks_of(model: nn.Module) -> dict[str, Tensor]:
    """The bool mask of every sparse parameter of a model, or of a copy of one, by name.

    Raises `UserError` if weights were loaded since that are not 0 where a mask prunes.
    """
    return {name: entry.mask for name, entry in held_in(places(model)).items()}


def held_in(found: Mapping[str, ParameterPlace]) -> dict[str, HeldMask]:
    """What is in force, by name. Raises as `masks_of`."""
    entries = {name: in_force(name, place.parameter) for name, place in found.items()}
    return {name: entry for name, entry in entries.items() if entry is not None}


def in_force(name: str, parameter: Tensor) -> HeldMask | None:
    """What is in force on a parameter; of a copy only if its weights agree."""
    entry = held(parameter)
    if entry is None or not contradicts(parameter, entry.mask):
        return entry
    if not entry.is_copy:
        raise loaded_without_masks()
    _warn([name])
    return None


def release(model: nn.Module) -> None:
    """Take the masks off a copy of a sparse model: pruned weights then train, from 0.

    For the model that was sparsified itself there is `Sparsifier.remove`.
    """
    for module in model.modules():
        _release(module)


def _release(module: nn.Module) -> None:
    for hook in list(module._forward_pre_hooks.values()):
        if isinstance(hook, Attached) and hook.is_copy:
            hook.remove()


def attach(found: Iterable[ParameterPlace], entries: Iterable[HeldMask]) -> list[Attached]:
    """Put masks on parameters and the modules that own them. Returns what takes them off.

    Raises `UserError` for a parameter that another mask is in force on.
    """
    pairs = list(zip(found, entries, strict=True))
    for place, _ in pairs:
        _refuse_held(place)
    by_module: dict[int, Attached] = {}
    for place, entry in pairs:
        for module, key in place.owners:
            if id(module) not in by_module:
                by_module[id(module)] = Attached(module)
            by_module[id(module)].add(key, place.parameter, entry)
    return list(by_module.values())


def _refuse_held(place: ParameterPlace) -> None:
    before = held(place.parameter)
    if before is not None and not before.is_copy:
        raise UserError(
            f"sparsity of '{place.names[0]}'",
            expected="a parameter that is dense so far",
            got="one that another Sparsifier (or weft.sparsity.apply) holds",
            change="remove() that one, or give each parameters of its own by param_filter",
        )


def contradicts(parameter: Tensor, mask: Tensor) -> bool:
    """Whether a pruned weight is not 0; NaN counts as 0 (checkpoints of the Cerebras machines)."""
    with torch.no_grad():
        values = torch.nan_to_num(parameter.detach(), nan=0.0)
        return not parameter.is_meta and bool(values[~mask.to(parameter.device)].any())


@dataclass(frozen=True)
class Select:
    """Gradient hook of a copy's parameter: its gradient where kept, 0 elsewhere."""

    entry: HeldMask

    def __call__(self, gradient: Tensor) -> Tensor:
        return kept(gradient, self.entry.mask)


class Attached:
    """Forward pre-hook that holds the masks of a module's own parameters.

    On the module it was made for it does nothing, since a Sparsifier does all. It is copied and
    saved with the module, though, and then keeps the copy's pruned weights at 0: gradients are
    masked, and weights that are not 0 are found before the next forward. They were written from
    elsewhere (averaged, loaded, moved by an optimizer that mixes them): the masks are given up,
    with a warning.
    """

    def __init__(self, module: nn.Module) -> None:
        self.is_copy = False
        self.parameters: dict[str, nn.Parameter] = {}
        self.entries: dict[str, HeldMask] = {}
        self._gradients: list[RemovableHandle] = []
        self._handle = module.register_forward_pre_hook(self)

    def add(self, key: str, parameter: nn.Parameter, entry: HeldMask) -> None:
        """Hold one more of the module's parameters."""
        self.parameters[key], self.entries[key] = parameter, entry
        _held[parameter] = entry

    def remove(self) -> None:
        """Off the module and its parameters."""
        self._handle.remove()
        for handle in self._gradients:
            handle.remove()
        for key, parameter in self.parameters.items():
            if held(parameter) is self.entries[key]:
                del _held[parameter]

    def __call__(self, module: nn.Module, _: Any) -> None:
        if torch.compiler.is_compiling() or not self.is_copy:
            return
        wrong = [key for key, entry in self.entries.items() if self._is_wrong(module, key, entry)]
        if wrong:
            _warn([f"{type(module).__name__}.{key}" for key in wrong])
            self.remove()

    def _is_wrong(self, module: nn.Module, key: str, entry: HeldMask) -> bool:
        """Whether the weight is another parameter by now, or not 0 where it is pruned."""
        present, own = module._parameters.get(key), self.parameters[key]
        is_replaced = isinstance(present, nn.Parameter) and present is not own
        return is_replaced or contradicts(own, entry.mask)

    def __getstate__(self) -> dict[str, Any]:
        # The handle, so that hooks registered where this is loaded do not get its number.
        entries = {key: entry.mask for key, entry in self.entries.items()}
        return {"parameters": self.parameters, "masks": entries, "handle": self._handle}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.is_copy, self.parameters, self._handle = True, state["parameters"], state["handle"]
        self.entries = {key: HeldMask(mask, is_copy=True) for key, mask in state["masks"].items()}
        self._gradients = []
        for key, parameter in self.parameters.items():
            _held[parameter] = self.entries[key]
            if parameter.requires_grad:
                self._gradients.append(parameter.register_hook(Select(self.entries[key])))


def _warn(names: list[str]) -> None:
    warnings.warn(
        "weights of a copy of a sparse model are no longer 0 where its masks prune: "
        f"{', '.join(names)}. They were averaged, loaded or trained without the masks, which are "
        "given up: these weights are dense from here on",
        stacklevel=3,
    )
