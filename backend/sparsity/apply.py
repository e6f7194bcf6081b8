"""Masks made effective in an eager torch program."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils.hooks import RemovableHandle

from ..errors import UserError


@dataclass(frozen=True)
class Applied:
    """Masks in force. `remove()` lets pruned weights train again, from 0."""

    handles: tuple[RemovableHandle, ...]

    def remove(self) -> None:
        """Take the hooks away; weights stay as they are."""
        for handle in self.handles:
            handle.remove()


def apply(
    model: nn.Module, masks: Mapping[str, Tensor], optimizer: Optimizer | None = None
) -> Applied:
    """Set pruned weights to exactly 0 and keep them there under any torch optimizer.

    Gradients of pruned weights are replaced by 0: a select, so NaN there does no harm. With an
    `optimizer`, its state of the parameter's shape is pruned before each step and the weights
    after it, for optimizers that move weights of zero gradient.
    Raises `UserError` for a mask without its parameter or of another shape.
    """
    pairs = [(_parameter(model, name, mask), mask) for name, mask in masks.items()]
    pairs = [(parameter, mask.to(parameter.device)) for parameter, mask in pairs]
    _prune_weights(pairs)
    handles = [p.register_hook(_Select(mask)) for p, mask in pairs if p.requires_grad]
    if optimizer is not None:
        chosen = optimizer
        _prune_state(chosen, pairs)
        handles.append(chosen.register_step_pre_hook(lambda *_: _prune_state(chosen, pairs)))
        handles.append(chosen.register_step_post_hook(lambda *_: _prune_weights(pairs)))
    return Applied(tuple(handles))


@dataclass(frozen=True)
class _Select:
    """Gradient where kept, 0 elsewhere."""

    mask: Tensor

    def __call__(self, gradient: Tensor) -> Tensor:
        return torch.where(self.mask, gradient, torch.zeros_like(gradient))


def _prune_weights(pairs: list[tuple[nn.Parameter, Tensor]]) -> None:
    with torch.no_grad():
        for parameter, mask in pairs:
            parameter.masked_fill_(~mask, 0)


def _prune_state(optimizer: Optimizer, pairs: list[tuple[nn.Parameter, Tensor]]) -> None:
    with torch.no_grad():
        for parameter, mask in pairs:
            for value in optimizer.state.get(parameter, {}).values():
                if isinstance(value, Tensor) and value.shape == parameter.shape:
                    value.masked_fill_(~mask, 0)


def _parameter(model: nn.Module, name: str, mask: Tensor) -> nn.Parameter:
    parameter = dict(model.named_parameters()).get(name)
    if parameter is None or parameter.shape != mask.shape:
        shape = "no such parameter" if parameter is None else f"shape {tuple(parameter.shape)}"
        raise UserError(
            f"mask of '{name}'",
            expected=f"a parameter of shape {tuple(mask.shape)}",
            got=shape,
            change="make the masks from this model: configure(...).masks(model)",
        )
    return parameter
