"""Normalization layers by name, and their exchange in an existing model."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from ..errors import UnknownNameError, UserError
from .online_norm import OnlineNorm
from .rivals import BatchChannelNorm, FilterResponseNorm, RMSNorm


class BatchNorm(_BatchNorm):
    """`torch.nn.BatchNorm*` for (N, C) and (N, C, *spatial) alike."""

    def _check_input_dim(self, input: Tensor) -> None:
        if input.dim() < 2:
            raise UserError(
                f"BatchNorm({self.num_features})",
                expected="an input of shape (N, C) or (N, C, *spatial)",
                got=f"shape {tuple(input.shape)}",
                change="add a batch dimension",
            )


class LastDim(nn.Module):
    """Applies a normalization with streaming or batch statistics to (N, *positions, C).

    A sample is then an image of C channels, and its positions are the pixels.
    """

    def __init__(self, norm: nn.Module) -> None:
        super().__init__()
        self.norm = norm

    def forward(self, x: Tensor) -> Tensor:
        """Same shape as x."""
        return self.norm(x.movedim(-1, 1)).movedim(1, -1)


class PerPosition(nn.Module):
    """Applies a normalization without state to each position of (N, *positions, C) by itself.

    As `nn.LayerNorm` does: a position must not see the others, least of all later ones.
    """

    def __init__(self, norm: nn.Module) -> None:
        super().__init__()
        self.norm = norm

    def forward(self, x: Tensor) -> Tensor:
        """Same shape as x."""
        return self.norm(x.reshape(-1, x.shape[-1])).reshape(x.shape)


def _group(channels: int, groups: int | None = None, **options: Any) -> nn.Module:
    return nn.GroupNorm(groups or _default_groups(channels), channels, **options)


def _batch_channel(channels: int, groups: int | None = None, **options: Any) -> nn.Module:
    return BatchChannelNorm(channels, groups or _default_groups(channels), **options)


def _default_groups(channels: int) -> int:
    """The most groups <= 32 that leave at least 2 channels in each."""
    upper = min(32, max(1, channels // 2))
    return next(count for count in range(upper, 0, -1) if channels % count == 0)


def _layer(channels: int, **options: Any) -> nn.Module:
    """LayerNorm over all features (C, *spatial) of a sample with one weight per channel."""
    return nn.GroupNorm(1, channels, **options)


def _none(channels: int) -> nn.Module:
    return nn.Identity()


_KINDS: dict[str, Callable[..., nn.Module]] = {
    "online": OnlineNorm,
    "group": _group,
    "layer": _layer,
    "rms": RMSNorm,
    "filter_response": FilterResponseNorm,
    "batch_channel": _batch_channel,
    "batch": BatchNorm,
    "none": _none,
}
_OVER_POSITIONS = frozenset({"online", "batch", "batch_channel"})
_Override = str | Mapping[str, Any]


def norm_kinds() -> tuple[str, ...]:
    """Names `make_norm` knows."""
    return tuple(_KINDS)


def make_norm(kind: str, channels: int, **options: Any) -> nn.Module:
    """A normalization of (N, channels) or (N, channels, *spatial).

    Raises `UserError` for an unknown kind or option.
    """
    if kind not in _KINDS:
        raise UnknownNameError("normalization", kind, _KINDS, "weft.nn.norm_kinds()")
    try:
        return _KINDS[kind](channels, **options)
    except (TypeError, ValueError) as error:
        raise UserError(
            f"normalization '{kind}' of {channels} channels",
            expected="options that the layer knows",
            got=", ".join(f"{key}={value!r}" for key, value in options.items()),
            change=str(error),
        ) from error


def replace_norms(
    model: nn.Module,
    kind: str,
    *,
    overrides: Mapping[str, _Override] | None = None,
    **options: Any,
) -> nn.Module:
    """Swap BatchNorm*, GroupNorm and LayerNorm modules for `kind`, in place; returns the model.

    Weights and biases are carried over. `overrides` maps globs of module names to another kind, to
    "keep", or to options such as {"alpha_fwd": 0.9} (with "kind" for another kind); the first glob
    that matches decides. `options` go to modules of `kind` only.

    A LayerNorm normalises the last dimension of each position by itself, and so does what replaces
    it; Online, Batch and Batch-Channel Normalization take the positions for a sample's pixels.

    Raises `UserError` for an unknown kind or option and for a glob that matches no normalization.
    """
    rules = {glob: _rule(rule) for glob, rule in (overrides or {}).items()}
    found = {name: module for name, module in model.named_modules() if _is_norm(module)}
    _check_globs(rules, found)
    for name, module in found.items():
        chosen, own = next((r for glob, r in rules.items() if fnmatchcase(name, glob)), (kind, {}))
        chosen = chosen or kind
        if chosen != "keep":
            common = options if chosen == kind else {}
            model = _put(model, name, _counterpart(name, module, chosen, {**common, **own}))
    return model


def _rule(rule: _Override) -> tuple[str | None, Mapping[str, Any]]:
    """An override as its kind (None: the common one) and its options."""
    if isinstance(rule, str):
        return rule, {}
    return rule.get("kind"), {key: value for key, value in rule.items() if key != "kind"}


def _is_norm(module: nn.Module) -> bool:
    return isinstance(module, _BatchNorm | nn.GroupNorm | nn.LayerNorm)


def _check_globs(rules: Iterable[str], found: Mapping[str, nn.Module]) -> None:
    for glob in rules:
        if not any(fnmatchcase(name, glob) for name in found):
            raise UserError(
                f"override '{glob}'",
                expected="a glob that matches a normalization of the model",
                got=f"no match among {', '.join(found) or 'no normalization at all'}",
                change="correct or remove the override",
            )


def _counterpart(name: str, module: nn.Module, kind: str, options: Mapping[str, Any]) -> nn.Module:
    """A new norm with the affine weights, device, dtype and mode of the old one.

    A norm that holds an activation (as those of timm do) applies it last; so does its counterpart.
    """
    new = make_norm(kind, _channels(name, module), **options)
    reference = next(module.parameters(), None)
    if reference is not None:
        new.to(device=reference.device, dtype=reference.dtype)
    with torch.no_grad():
        for key in ("weight", "bias"):
            old, target = getattr(module, key, None), getattr(new, key, None)
            if isinstance(old, Tensor) and isinstance(target, Tensor):
                target.copy_(old)
    new.train(module.training)
    if isinstance(module, nn.LayerNorm) and kind != "none":
        new = LastDim(new) if kind in _OVER_POSITIONS else PerPosition(new)
    followers = [child for child in module.children() if not isinstance(child, nn.Identity)]
    return nn.Sequential(new, *followers) if followers else new


def _channels(name: str, module: nn.Module) -> int:
    if isinstance(module, _BatchNorm):
        return module.num_features
    if isinstance(module, nn.GroupNorm):
        return module.num_channels
    assert isinstance(module, nn.LayerNorm)
    if len(module.normalized_shape) != 1:
        raise UserError(
            f"module '{name}'",
            expected="a LayerNorm over one dimension",
            got=f"normalized_shape {tuple(module.normalized_shape)}",
            change="override it with 'keep', or replace it by hand",
        )
    return module.normalized_shape[0]


def _put(model: nn.Module, name: str, new: nn.Module) -> nn.Module:
    """Set the submodule `name`; the model itself when the name is empty."""
    if not name:
        return new
    parent, _, leaf = name.rpartition(".")
    setattr(model.get_submodule(parent), leaf, new)
    return model
