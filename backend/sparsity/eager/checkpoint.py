"""Checkpoints of sparse training: what is refused, and what to do about it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from ...errors import UserError

_REMEDY = (
    "load the sparsity state saved with the weights, sparsifier.load_state_dict(...); or, to make "
    "these weights sparse anew, sparsifier.draw_masks(); or, to train on dense, "
    "sparsifier.remove()"
)


def loaded_without_masks() -> UserError:
    """Weights that contradict the masks were loaded, and no masks with them."""
    return UserError(
        "model.load_state_dict with sparsity on",
        expected="weights that are 0 wherever the masks prune",
        got="other weights there, and no masks loaded since",
        change=_REMEDY,
    )


def replaced_parameter(name: str) -> UserError:
    """The module holds another tensor than the one that masks, hooks and optimizer know."""
    return UserError(
        f"sparse parameter '{name}'",
        expected="the parameter that the Sparsifier was made for",
        got="another in its place (load_state_dict(assign=True), a new nn.Parameter, a"
        " parametrization)",
        change="sparsifier.remove(), then make the optimizer and the Sparsifier anew and load their"
        " states",
    )


def check_state(state: Mapping[str, Any], masks: Mapping[str, Tensor]) -> None:
    """Raise `UserError` unless the state holds a mask of the right shape for each of `masks`."""
    absent = [key for key in ("masks", "step", "made_at") if key not in state]
    if absent:
        raise UserError(
            "sparsity state of the checkpoint",
            expected="masks, step and made_at, as sparsifier.state_dict() gives them",
            got=f"no {', '.join(absent)}",
            change=_REMEDY,
        )
    given = {name: tuple(mask.shape) for name, mask in state["masks"].items()}
    wanted = {name: tuple(mask.shape) for name, mask in masks.items()}
    if given != wanted:
        names = sorted(k for k in given.keys() | wanted.keys() if given.get(k) != wanted.get(k))
        raise UserError(
            f"sparsity state of the checkpoint: {', '.join(names)}",
            expected="; ".join(f"{name} {wanted.get(name, 'dense')}" for name in names),
            got="; ".join(f"{name} {given.get(name, 'no mask')}" for name in names),
            change="use the sparsity configuration that the checkpoint was trained with",
        )
