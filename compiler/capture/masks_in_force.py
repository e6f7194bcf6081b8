"""Masks of a model by the names that its captured graph has for the parameters."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ...backend.errors import UserError
from ...backend.parameters import by_any_name, places
from ...backend.sparsity.eager.attached import HeldMask, held_in
from .graph import Graph


def masks_in_force(model: nn.Module, graph: Graph) -> dict[str, HeldMask]:
    """What a Sparsifier, or a copy of a sparse model, holds of the parameters that the graph uses.

    Raises UserError if weights were loaded since that are not 0 where a mask prunes.
    """
    found = places(model)
    used = {name for placeholder, name in graph.parameters.items() if graph.node(placeholder).users}
    entries = held_in(found)
    named = {found[name].spelled[0]: entry for name, entry in entries.items()}
    return {name: entry for name, entry in named.items() if name in used}


def by_first_name(model: nn.Module, masks: Mapping[str, Any]) -> dict[str, Any]:
    """The same masks; one of a tied parameter may be given under any of its names.

    Raises UserError for one on the meta device, or of other numbers than 0 and 1.
    """
    first = _first_names(model, masks)
    for name, mask in masks.items():
        if isinstance(mask, Tensor) and mask.is_meta:
            raise UserError(
                f"mask of '{name}'",
                expected="a mask with values, or the share of weights that are zero",
                got="a mask on the meta device",
                change=f"give the share: masks={{'{name}': 0.9}}; non-zeros are then expected ones",
            )
    return {first[name]: _as_bool(name, mask) for name, mask in masks.items()}


def _as_bool(name: str, mask: Any) -> Any:
    """A mask of numbers 0 and 1 as one of truth values."""
    if not isinstance(mask, Tensor) or mask.dtype is torch.bool:
        return mask
    if not bool(((mask == 0) | (mask == 1)).all()):
        raise UserError(
            f"mask of '{name}'",
            expected="True, or 1, where a weight is kept, and False, or 0, elsewhere",
            got=f"a {str(mask.dtype).removeprefix('torch.')} tensor with other numbers",
            change="mask != 0",
        )
    return mask.bool()


def first_names(model: nn.Module, names: Collection[str]) -> frozenset[str]:
    """Of each parameter the name that the graph has for it."""
    return frozenset(_first_names(model, names).values())


def _first_names(model: nn.Module, names: Collection[str]) -> dict[str, str]:
    known = by_any_name(model) if names else {}
    return {name: known[name].spelled[0] if name in known else name for name in names}
