"""Normalization layers by name, and their exchange in an existing model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from ..errors import UnknownNameError, UserError
from .online_norm import OnlineNorm


class RMSNorm(nn.Module):
    """Divide a sample by its root mean square over all features, then weight per channel.

    (N, C) or (N, C, *spatial); y = weight * x / sqrt(mean(x^2) + eps). No state.
    """

    def __init__(self, num_features: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(num_features))

    def forward(self, x: Tensor) -> Tensor:
        """Same shape as x."""
        power = x.square().mean(tuple(range(1, x.dim())), keepdim=True)
        weight = self.weight.view(-1, *([1] * (x.dim() - 2)))
        return x * torch.rsqrt(power + self.eps) * weight


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
    """Applies a channel normalization to the last dimension of (N, *positions, C)."""

    def __init__(self, norm: nn.Module) -> None:
        super().__init__()
        self.norm = norm

    def forward(self, x: Tensor) -> Tensor:
        """Same shape as x."""
        return self.norm(x.movedim(-1, 1)).movedim(1, -1)


def _group(channels: int, groups: int | None = None, **options: Any) -> nn.Module:
    """GroupNorm; by default the most groups <= 32 that leave at least 2 channels in each."""
    if groups is None:
        upper = min(32, max(1, channels // 2))
        groups = next(count for count in range(upper, 0, -1) if channels % count == 0)
    return nn.GroupNorm(groups, channels, **options)


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
    "batch": BatchNorm,
    "none": _none,
}


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
    overrides: Mapping[str, str] | None = None,
    **options: Any,
) -> nn.Module:
    """Swap BatchNorm*, GroupNorm and LayerNorm modules for `kind`, in place; returns the model.

    Weights and biases are carried over. `overrides` maps globs of module names to another kind, or
    to "keep"; the first glob that matches decides, and `options` go to modules of `kind` only.
    A LayerNorm normalises the last dimension, so what replaces it does too.

    Raises `UserError` for an unknown kind and for a glob that matches no normalization.
    """
    rules = dict(overrides or {})
    found = {name: module for name, module in model.named_modules() if _is_norm(module)}
    _check_globs(rules, found)
    for name, module in found.items():
        chosen = next((rule for glob, rule in rules.items() if fnmatchcase(name, glob)), kind)
        if chosen != "keep":
            new = _counterpart(name, module, chosen, options if chosen == kind else {})
            model = _put(model, name, new)
    return model


def _is_norm(module: nn.Module) -> bool:
    return isinstance(module, _BatchNorm | nn.GroupNorm | nn.LayerNorm)


def _check_globs(rules: Mapping[str, str], found: Mapping[str, nn.Module]) -> None:
    for glob in rules:
        if not any(fnmatchcase(name, glob) for name in found):
            raise UserError(
                f"override '{glob}'",
                expected="a glob that matches a normalization of the model",
                got=f"no match among {', '.join(found) or 'no normalization at all'}",
                change="correct or remove the override",
            )


def _counterpart(name: str, module: nn.Module, kind: str, options: Mapping[str, Any]) -> nn.Module:
    """A new norm with the affine weights, device, dtype and mode of the old one."""
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
    keep = isinstance(module, nn.LayerNorm) and kind != "none"
    return LastDim(new) if keep else new


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
