"""Exchange of normalizations in an existing model."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import Tensor, nn

from ...errors import UserError
from ..norms import OVER_POSITIONS, LastDim, PerPosition, make_norm
from .find import KNOWN, Normalization, measured, norms_of
from .probe import NormLayout

_Override = str | Mapping[str, Any]


def replace_norms(
    model: nn.Module,
    kind: str,
    *,
    overrides: Mapping[str, _Override] | None = None,
    **options: Any,
) -> nn.Module:
    """Swap BatchNorm*, GroupNorm, LayerNorm and RMSNorm modules for `kind`, in place; returns the
    model.

    Modules of other classes with "norm" in their name are swapped, too, if they normalize the
    features of each position, as the RMSNorm and LayerNorm of transformers do. Classes with a
    forward of their own are tried on an input to see which axes they normalize. Weights and biases
    are carried over. `overrides` maps globs of module names to another kind, to "keep", or to
    options such as {"alpha_fwd": 0.9} (with "kind" for another kind); the first glob that matches
    decides. `options` go to modules of `kind` only.

    What normalizes each position by itself is replaced by what does so, too, on the same axis;
    Online, Batch and Batch-Channel Normalization take the positions for a sample's pixels.

    Warns of modules that look like a normalization and stay. Raises `UserError` for an unknown kind
    or option, for a glob that matches no normalization, for a normalization of several axes, and if
    there is nothing to replace or keep.
    """
    rules = {glob: _rule(rule) for glob, rule in (overrides or {}).items()}
    target, norms, left = type(make_norm(kind, 2, **options)), norms_of(model), []
    _check_globs(rules, norms)
    replaced, is_kept = 0, False
    for name, (module, places) in norms.items():
        given, own = next((r for glob, r in rules.items() if fnmatchcase(name, glob)), (None, {}))
        if given == "keep":
            is_kept = True
            continue
        try:
            found = measured(name, module)
        except UserError as error:
            if isinstance(module, KNOWN) or given or own:
                raise
            left.append(f"{name}: {error.got}")
            continue
        chosen = given or kind
        new = _counterpart(found, chosen, {**(options if chosen == kind else {}), **own})
        for place in places:
            model = _put(model, place, new)
        replaced += 1
    has_target = any(isinstance(module, target) for module in model.modules())
    if not (replaced or is_kept) and (left or (not norms and not has_target)):
        raise _nothing_replaced(model, left)
    if left:
        warnings.warn(f"replace_norms: these stay as they are: {_some(left)}", stacklevel=2)
    return model


def _rule(rule: _Override) -> tuple[str | None, Mapping[str, Any]]:
    """An override as its kind (None: the common one) and its options."""
    if isinstance(rule, str):
        return rule, {}
    return rule.get("kind"), {key: value for key, value in rule.items() if key != "kind"}


def _counterpart(found: Normalization, kind: str, options: Mapping[str, Any]) -> nn.Module:
    """A new norm with the affine weights, device, dtype and mode of the old one.

    A norm that holds an activation (as those of timm do) applies it last; so does its counterpart.
    """
    module, layout = found.module, found.layout
    new = make_norm(kind, found.features, **options)
    reference = next(module.parameters(), None)
    if reference is not None:
        new.to(device=reference.device, dtype=reference.dtype)
    _copy_affine(found, new)
    new.train(module.training)
    if kind != "none":
        new = _on_axis(new, kind, layout)
    followers = [child for child in module.children() if not isinstance(child, nn.Identity)]
    return nn.Sequential(new, *followers) if followers else new


def _copy_affine(found: Normalization, new: nn.Module) -> None:
    for key in ("weight", "bias"):
        old, target = getattr(found.affine or found.module, key, None), getattr(new, key, None)
        if isinstance(old, Tensor) and isinstance(target, Tensor) and not target.is_meta:
            with torch.no_grad():
                target.copy_(old)


def _on_axis(new: nn.Module, kind: str, layout: NormLayout) -> nn.Module:
    """A norm of (N, C, *positions) as one of the layout."""
    if kind in OVER_POSITIONS or layout.over_positions:
        return new if layout.axis == 1 else LastDim(new)
    return PerPosition(new, layout.axis)


def _check_globs(rules: Iterable[str], found: Iterable[str]) -> None:
    for glob in rules:
        if not any(fnmatchcase(name, glob) for name in found):
            raise UserError(
                f"override '{glob}'",
                expected="a glob that matches a normalization of the model",
                got=f"no match among {', '.join(found) or 'no normalization at all'}",
                change="correct or remove the override",
            )


def _nothing_replaced(model: nn.Module, left: Sequence[str]) -> UserError:
    return UserError(
        f"replace_norms of {type(model).__name__}",
        expected="a normalization that can be replaced",
        got=_some(left) or "no normalization, and no module with 'norm' in the name of its class",
        change="replace modules by hand: weft.nn.make_norm(kind, features)",
    )


def _some(said: Sequence[str]) -> str:
    more = [f"and {len(said) - 8} more"] if len(said) > 8 else []
    return "; ".join([*said[:8], *more])


def _put(model: nn.Module, name: str, new: nn.Module) -> nn.Module:
    """Set the submodule `name`; the model itself when the name is empty."""
    if not name:
        return new
    parent, _, leaf = name.rpartition(".")
    setattr(model.get_submodule(parent), leaf, new)
    return model
