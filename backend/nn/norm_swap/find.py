"""Finds the normalizations of a model: torch's own, and those of other classes."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.parameter import UninitializedTensorMixin  # type: ignore[attr-defined]

from ...errors import UserError
from .probe import AffineProbe, NormLayout, affine_of, axis_of, check_does_no_more, layout_of

KNOWN = (_BatchNorm, nn.GroupNorm, nn.LayerNorm, nn.RMSNorm)
"""Classes that are normalizations, and what is derived from them."""
_OWN = __name__.partition(".")[0]


@dataclass(frozen=True)
class Normalization:
    """A module to replace: its number of features, where they are, and its affine map if it had
    to be measured."""

    module: nn.Module
    features: int
    layout: NormLayout
    affine: AffineProbe | None = None


def norms_of(model: nn.Module) -> dict[str, tuple[nn.Module, list[str]]]:
    """Every module that is, or is called, a normalization, by its first name; and all its names."""
    found: dict[int, tuple[nn.Module, list[str]]] = {}
    for name, module in model.named_modules(remove_duplicate=False):
        if isinstance(module, KNOWN) or _looks_like(module):
            found.setdefault(id(module), (module, []))[1].append(name)
    return {names[0]: (module, names) for module, names in found.values()}


def _looks_like(module: nn.Module) -> bool:
    kind = type(module)
    is_ours = kind.__module__.partition(".")[0] == _OWN or kind.__module__.startswith("torch.nn.ut")
    is_leaf = not any(list(child.parameters()) for child in module.children())
    return "norm" in kind.__name__.lower() and is_leaf and not is_ours


def measured(name: str, module: nn.Module) -> Normalization:
    """What a module normalizes. Raises `UserError` if that is no single axis of features."""
    features = _features(name, module)
    kind = next((kind for kind in type(module).mro() if _is_torchs_own(kind)), None)
    if kind is type(module) or (kind and kind.forward is type(module).forward):
        axis = axis_of(kind)
        return Normalization(module, features, NormLayout(axis, axis == 1))
    with torch.device("cpu"):  # of a model that is made on another, such as meta
        return _tried(name, module, kind, features)


def _tried(name: str, module: nn.Module, kind: type | None, features: int) -> Normalization:
    """What a module of a class of its own normalizes, found by running it."""
    layout = layout_of(name, module, features)
    if kind is not None:
        check_does_no_more(name, module, kind, features, layout)
        return Normalization(module, features, layout)
    affine = affine_of(module, features, layout)
    if affine is None:
        raise UserError(
            f"module '{name}'",
            expected="a layer or RMS norm of each position's features, weight and bias",
            got=f"a {type(module).__name__}, which computes something else",
            change="override it with 'keep', or replace it by hand",
        )
    return Normalization(module, features, layout, affine)


def _is_torchs_own(kind: type) -> bool:
    return issubclass(kind, KNOWN) and kind.__module__.startswith("torch.nn.")


def _features(name: str, module: nn.Module) -> int:
    tensors = (*module.parameters(), *module.buffers())
    if any(isinstance(value, UninitializedTensorMixin) for value in tensors):
        raise UserError(
            f"module '{name}'",
            expected="a normalization with a number of features",
            got=f"a {type(module).__name__} that has seen no input yet",
            change="run the model once on a sample, then replace",
        )
    if isinstance(module, _BatchNorm):
        return module.num_features
    if isinstance(module, nn.GroupNorm):
        return module.num_channels
    shape = getattr(module, "normalized_shape", None)
    if isinstance(shape, int):
        return shape
    sizes = {parameter.numel() for parameter in module.parameters()}
    if shape is None and len(sizes) == 1 and max(sizes) > 1:
        return sizes.pop()
    if shape is None or len(shape) != 1:
        kind = type(module).__name__
        raise UserError(
            f"module '{name}'",
            expected=f"a {kind} over one dimension",
            got=f"a {kind} without a number of features"
            if shape is None
            else f"normalized_shape {tuple(shape)}",
            change="override it with 'keep', or replace it by hand",
        )
    return shape[0]
