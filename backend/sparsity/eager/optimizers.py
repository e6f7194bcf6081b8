"""The optimizer that moves the weights, found inside of what wraps it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from ...errors import UserError
from ...parameters import ParameterPlace
from .select import prune

_INSIDE = ("optimizer", "base_optimizer", "inner_optimizer", "_optimizer")
"""Attributes under which accelerate, Lookahead, SAM, schedulers and others keep theirs."""


def found_inside(optimizer: Any) -> tuple[Optimizer, ...]:
    """Optimizers whose steps can be watched, the one given first, the one that moves weights last.

    Raises `UserError` for anything that is no torch optimizer and holds none.
    """
    chain = [optimizer]
    while (inner := _inside(chain[-1])) is not None:
        chain.append(inner)
    watched = tuple(one for one in chain if hasattr(one, "_optimizer_step_pre_hooks"))
    if not watched or watched[-1] is not chain[-1]:
        raise UserError(
            "optimizer of a Sparsifier",
            expected="a torch.optim.Optimizer, or one that holds it as .optimizer",
            got=type(chain[-1]).__name__,
            change="give the optimizer that steps the model's parameters",
        )
    return watched


def _inside(optimizer: Any) -> Any:
    own = vars(optimizer) if hasattr(optimizer, "__dict__") else {}
    inner = (own[name] for name in _INSIDE if hasattr(own.get(name), "step"))
    return next(inner, None)


def check_moves(optimizer: Optimizer, sparse: Mapping[str, ParameterPlace]) -> None:
    """Raises `UserError` for sparse weights that train and that the optimizer does not hold."""
    own = {id(p) for group in optimizer.param_groups for p in group["params"]}
    trained = [name for name, place in sparse.items() if place.parameter.requires_grad]
    foreign = [name for name in trained if id(sparse[name].parameter) not in own]
    if foreign:
        more = f" and {len(foreign) - 8} more" if len(foreign) > 8 else ""
        raise UserError(
            f"Sparsifier on {type(optimizer).__name__}",
            expected="an optimizer that holds every sparse parameter that is trained",
            got=f"none of {', '.join(foreign[:8])}{more} in its param_groups",
            change="leave them out by param_filter; for another optimizer make another Sparsifier"
            " with a param_filter of its parameters; for replaced or cast parameters, make the"
            " optimizer anew",
        )


def prune_state(optimizer: Optimizer, parameter: Tensor, mask: Tensor) -> None:
    """Set the optimizer's state of pruned weights to 0, where it has the parameter's shape."""
    for value in optimizer.state.get(parameter, {}).values():
        if isinstance(value, Tensor) and value.shape == parameter.shape:
            prune(value, mask)


def has_finite_gradients(optimizer: Optimizer) -> bool:
    """Whether all gradients of the optimizer's parameters are finite."""
    gradients = (p.grad for group in optimizer.param_groups for p in group["params"])
    values = (g.coalesce().values() if g.is_sparse else g for g in gradients if g is not None)
    return all(_is_finite(value) for value in values)


def _is_finite(values: Tensor) -> bool:
    """By the sum, which is not finite if an entry is not: five times as fast. It may overflow."""
    return bool(values.sum().isfinite()) or bool(torch.isfinite(values).all())
