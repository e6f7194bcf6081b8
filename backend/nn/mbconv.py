"""Inverted bottlenecks (MBConv) for images and volumes, with a selectable normalization."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from .norms import make_norm

MakeNorm = Callable[[int], nn.Module]
"""A normalization of so many channels."""
_CONV = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
_POOL = {1: nn.AdaptiveAvgPool1d, 2: nn.AdaptiveAvgPool2d, 3: nn.AdaptiveAvgPool3d}


def norm_maker(kind: str, options: dict[str, Any]) -> MakeNorm:
    """Normalizations of one kind."""
    return lambda channels: make_norm(kind, channels, **options)


def conv(spatial: int, inputs: int, outputs: int, kernel: int, **options: Any) -> nn.Module:
    """A convolution without bias that keeps the size at stride 1, over `spatial` dimensions."""
    options = {"padding": (kernel - 1) // 2, "bias": False, **options}
    return _CONV[spatial](inputs, outputs, kernel, **options)


class SqueezeExcite(nn.Module):
    """x * hard-sigmoid(W2 hard-swish(W1 mean(x))): one factor per channel."""

    def __init__(self, channels: int, squeezed: int, spatial: int = 2) -> None:
        super().__init__()
        self.gate = nn.Sequential(
            _POOL[spatial](1),
            conv(spatial, channels, squeezed, 1, bias=True),
            nn.Hardswish(),
            conv(spatial, squeezed, channels, 1, bias=True),
            nn.Hardsigmoid(),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Same shape as x."""
        return x * self.gate(x)


class MBConv(nn.Sequential):
    """1x1 expansion, depthwise convolution, squeeze and excitation, 1x1 projection.

    Each convolution is normalized; all but the projection are followed by hard-swish. The first is
    left out at an expansion of 1, the gate at `se_ratio` 0 (a share of the input channels).
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        norm: MakeNorm,
        kernel: int = 3,
        stride: int = 1,
        expansion: int = 1,
        se_ratio: float = 0.0,
        spatial: int = 2,
    ) -> None:
        wide = inputs * expansion
        layers: list[nn.Module] = []
        if expansion != 1:
            layers += [conv(spatial, inputs, wide, 1), norm(wide), nn.Hardswish()]
        layers += [
            conv(spatial, wide, wide, kernel, stride=stride, groups=wide),
            norm(wide),
            nn.Hardswish(),
        ]
        if se_ratio > 0:
            layers.append(SqueezeExcite(wide, max(1, int(inputs * se_ratio)), spatial))
        super().__init__(*layers, conv(spatial, wide, outputs, 1), norm(outputs))
