"""Adapters added into the weights that they adapt."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from ...errors import UserError
from ...parameters import places
from ...sparsity.eager.attached import held_in, masks_of
from .adapt import adapted_layers
from .checks import check_finite
from .layers import Adapted

Way = Literal["exact", "masked", "dense"]


@dataclass(frozen=True)
class Merged:
    """A plain model, how its adapters were merged, and what that changed.

    `cut` is the share of the adapters' weights, by squares, that masks cut off. `change` is the
    largest relative difference (in the 2-norm) of an output on the given inputs.
    """

    model: nn.Module
    way: Way
    cut: float
    change: float | None


def merge(
    model: nn.Module,
    way: Way = "exact",
    *,
    masks: Mapping[str, Tensor] | None = None,
    inputs: tuple[Any, ...] | None = None,
) -> Merged:
    """A copy of `model` with plain layers in place of adapted ones; `model` stays as it is.

    exact: W0 + scale * B A, for dense weights and for adapters that were trained masked. masked:
    W0 + mask * scale * B A, which is another function: `inputs` (of model(*inputs)) measure by how
    much. dense: W0 + scale * B A whatever that does to zeros of W0. `masks` (parameter name to bool
    mask) are by default those in force, else the weights that are not 0.

    Raises `UserError` for an exact merge that would fill zeros of a weight, a masked one without
    inputs, and a dense one of weights that a Sparsifier keeps at 0.
    """
    layers = adapted_layers(model)
    if not layers:
        raise UserError(
            f"LoRA: merge of {type(model).__name__}",
            expected="a model with adapters",
            got="none",
            change="adapt it first (weft.nn.lora.adapt)",
        )
    _refuse(model, layers, way, inputs)
    kept = _kept(model, layers, masks) if way == "masked" else {}
    before = None if inputs is None else _outputs(model, inputs)
    squares = [_squares(layer, kept.get(name)) for name, layer in layers.items()]
    merged = _plain(model, kept)
    change = None if before is None else _change(before, _outputs(merged, inputs or ()))
    whole = sum(all_ for all_, _ in squares)
    return Merged(merged, way, 1 - sum(k for _, k in squares) / whole if whole else 0.0, change)


def _refuse(
    model: nn.Module, layers: Mapping[str, Adapted], way: Way, inputs: tuple[Any, ...] | None
) -> None:
    if way not in get_args(Way):
        raise UserError(
            "LoRA: way of merging",
            expected=" or ".join(get_args(Way)),
            got=repr(way),
            change="see weft.nn.lora.merge",
        )
    for name, layer in layers.items():
        weight = layer.base_layer.weight
        assert isinstance(weight, Tensor)
        check_finite(name, layer.delta())
        zeros = int(((weight == 0) & (layer.delta() != 0)).sum())
        if way == "exact" and layer.mask is None and zeros > _STRAY * weight.numel():
            raise UserError(
                f"LoRA: merge of module '{name}'",
                expected="a dense weight, or an adapter that was trained masked",
                got=f"{zeros} of {weight.numel()} weights are 0, which the merge would fill",
                change="keep the adapter apart; or merge way='masked' with inputs=, which changes "
                "the outputs; or way='dense', which gives up the zeros",
            )
    if way == "masked" and inputs is None:
        raise UserError(
            "LoRA: masked merge",
            expected="inputs of the model, on which the change of its outputs is measured",
            got="none",
            change="give inputs=(...), as in model(*inputs)",
        )
    bases = {f"{name}.base_layer.weight".lstrip(".") for name in layers}
    if way == "dense" and (held := sorted(bases & held_in(places(model)).keys())):
        raise UserError(
            "LoRA: dense merge",
            expected="weights that may become anything",
            got=f"masks in force on {', '.join(held[:8])}",
            change="take the masks off first (Sparsifier.remove), or merge way='masked'",
        )


_STRAY = 0.01
"""Up to this share of zeros that are filled, a weight counts as dense."""


def _kept(
    model: nn.Module, layers: Mapping[str, Adapted], masks: Mapping[str, Tensor] | None
) -> dict[str, Tensor]:
    """The mask of each layer without one of its own, by the layer's name."""
    given = masks_of(model) if masks is None else masks
    kept = {}
    for name, layer in layers.items():
        weight = layer.base_layer.weight
        assert isinstance(weight, Tensor)
        names = (f"{name}.base_layer.weight".lstrip("."), f"{name}.weight".lstrip("."))
        found = next((given[n] for n in names if n in given), weight != 0)
        kept[name] = layer.mask if layer.mask is not None else found.to(weight.device)
    return kept


@torch.no_grad()
def _plain(model: nn.Module, kept: Mapping[str, Tensor]) -> nn.Module:
    plain = deepcopy(model)
    for name, layer in adapted_layers(plain).items():
        weight = layer.base_layer.weight
        assert isinstance(weight, Tensor)
        weight.copy_(layer.merged_weight(kept.get(name)))
        if not name:
            return layer.base_layer
        plain.set_submodule(name, layer.base_layer)
    return plain


@torch.no_grad()
def _squares(layer: Adapted, mask: Tensor | None) -> tuple[float, float]:
    """Of B A: the sum of squares, and that of what is kept."""
    squares = layer.delta().double().square()
    mask = layer.mask if mask is None else mask
    if mask is None or layer.mask is not None:
        return float(squares.sum()), float(squares.sum())
    return float(squares.sum()), float(squares[mask].sum())


@torch.no_grad()
def _outputs(model: nn.Module, inputs: tuple[Any, ...]) -> list[Tensor]:
    """Of a copy in eval mode, so that statistics stand still."""
    found = tree_leaves(deepcopy(model).eval()(*inputs))
    return [value for value in found if isinstance(value, Tensor) and value.is_floating_point()]


def _change(before: list[Tensor], after: list[Tensor]) -> float:
    pairs = zip(before, after, strict=True)
    return max(float((a - b).norm() / b.norm().clamp_min(1e-30)) for b, a in pairs)
