"""Normalization layers by name, and what applies them along another axis."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

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

    As `nn.LayerNorm` does: a position must not see the others, least of all later ones. With
    `axis` 1 the input is (N, C, *positions).
    """

    def __init__(self, norm: nn.Module, axis: int = -1) -> None:
        super().__init__()
        self.norm, self.axis = norm, axis

    def forward(self, x: Tensor) -> Tensor:
        """Same shape as x."""
        features = x.movedim(self.axis, -1)
        normalized = self.norm(features.reshape(-1, features.shape[-1]))
        return normalized.reshape(features.shape).movedim(-1, self.axis)


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
OVER_POSITIONS = frozenset({"online", "batch", "batch_channel"})
"""Kinds whose statistics are over the positions of a sample, and over samples."""


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
