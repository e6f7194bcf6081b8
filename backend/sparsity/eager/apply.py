"""Masks that stay as they are made effective in an eager torch program."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor, nn
from torch.optim import Optimizer

from ...errors import UserError
from ...parameters import ParameterPlace, by_any_name
from ..products import check_stays_finite, check_zeros_reach_products
from .attached import HeldMask, Select, attach, release
from .optimizers import found_inside, prune_state
from .select import prune


@dataclass(frozen=True)
class Applied:
    """Masks in force. `remove()` lets pruned weights train again, from 0."""

    hooks: tuple[Callable[[], None], ...]

    def remove(self) -> None:
        """Take the hooks away; weights stay as they are."""
        for take_away in self.hooks:
            take_away()


def apply(
    model: nn.Module, masks: Mapping[str, Tensor], optimizer: Optimizer | None = None
) -> Applied:
    """Set pruned weights to exactly 0 and keep them there under any torch optimizer.

    Gradients of pruned weights are replaced by 0: a select, so NaN there does no harm. With an
    `optimizer`, its state of the parameter's shape is pruned before each step and the weights
    after it, for optimizers that move weights of zero gradient. Of a tied parameter any name will
    do. Raises `UserError` for a mask without its parameter or of another shape, and for a
    parameter that is sparse already.
    """
    known = by_any_name(model)
    found = [_place(known, name, mask) for name, mask in masks.items()]
    check_zeros_reach_products(model, [place.names[0] for place in found])
    for place, mask in zip(found, masks.values(), strict=True):
        check_stays_finite(place.names[0], place, mask)
    release(model)
    moved = zip(found, masks.values(), strict=True)
    entries = [HeldMask(mask.to(place.parameter.device)) for place, mask in moved]
    hooks = [attached.remove for attached in attach(found, entries)]
    pairs = [(place.parameter, entry.mask) for place, entry in zip(found, entries, strict=True)]
    _prune_weights(pairs)
    for place, entry in zip(found, entries, strict=True):
        if place.parameter.requires_grad:
            hooks.append(place.parameter.register_hook(Select(entry)).remove)
    if optimizer is not None:
        inner = found_inside(optimizer)[-1]
        _prune_state(inner, pairs)
        hooks.append(inner.register_step_pre_hook(lambda *_: _prune_state(inner, pairs)).remove)
        hooks.append(inner.register_step_post_hook(lambda *_: _prune_weights(pairs)).remove)
    return Applied(tuple(hooks))


def _prune_weights(pairs: list[tuple[nn.Parameter, Tensor]]) -> None:
    for parameter, mask in pairs:
        prune(parameter, mask)


def _prune_state(optimizer: Optimizer, pairs: list[tuple[nn.Parameter, Tensor]]) -> None:
    for parameter, mask in pairs:
        prune_state(optimizer, parameter, mask)


def _place(known: Mapping[str, ParameterPlace], name: str, mask: Tensor) -> ParameterPlace:
    place = known.get(name)
    if place is None or place.parameter.shape != mask.shape:
        shape = "no such parameter" if place is None else f"shape {tuple(place.parameter.shape)}"
        raise UserError(
            f"mask of '{name}'",
            expected=f"a parameter of shape {tuple(mask.shape)}",
            got=shape,
            change="make the masks from this model: configure(...).masks(model)",
        )
    return place
