"""Pre-activation ResNets for small images (He et al. 2016), with a selectable normalization.

Written so that the finest stages of the pipeline are the layers one sees: each convolution with
the normalization and activation in front of it, each residual sum, the shared normalization of a
transition block, and norm + pool + classifier: 9n + 7 stages with the loss, for depth 6n + 2.
"""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import UserError
from .norms import make_norm


def _conv(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False)


class PreactivationBlock(nn.Module):
    """norm-relu-conv, norm-relu-conv, sum; (N, C, H, W) to (N, outputs, H/stride, W/stride).

    Where the shape changes, a 1x1 convolution of the activated input replaces the identity path.
    """

    def __init__(
        self, inputs: int, outputs: int, stride: int, normalization: str, options: dict[str, Any]
    ) -> None:
        super().__init__()
        self.norm1 = make_norm(normalization, inputs, **options)
        self.conv1 = _conv(inputs, outputs, 3, stride)
        self.norm2 = make_norm(normalization, outputs, **options)
        self.conv2 = _conv(outputs, outputs, 3)
        changes = stride != 1 or inputs != outputs
        self.projection = _conv(inputs, outputs, 1, stride) if changes else None

    def forward(self, x: Tensor) -> Tensor:
        """The residual sum."""
        active = F.relu(self.norm1(x))
        identity = x if self.projection is None else self.projection(active)
        residual = self.conv2(F.relu(self.norm2(self.conv1(active))))
        return residual + identity


class ResNet(nn.Module):
    """Stem, three groups of n blocks with widths (w, 2w, 4w), norm-relu-pool-classifier."""

    def __init__(
        self,
        blocks: int,
        in_channels: int,
        classes: int,
        width: int,
        normalization: str,
        options: dict[str, Any],
    ) -> None:
        super().__init__()
        self.stem = _conv(in_channels, width, 3)
        body: list[PreactivationBlock] = []
        channels = width
        for group, outputs in enumerate((width, 2 * width, 4 * width)):
            for index in range(blocks):
                stride = 2 if group > 0 and index == 0 else 1
                body.append(PreactivationBlock(channels, outputs, stride, normalization, options))
                channels = outputs
        self.blocks = nn.Sequential(*body)
        self.norm = make_norm(normalization, channels, **options)
        self.classifier = nn.Linear(channels, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        """Logits (N, classes) of images (N, in_channels, H, W)."""
        features = F.relu(self.norm(self.blocks(self.stem(x))))
        return self.classifier(features.mean((2, 3)))


def resnet(
    depth: int,
    in_channels: int = 3,
    classes: int = 10,
    width: int = 16,
    normalization: str = "online",
    **norm_options: Any,
) -> ResNet:
    """A ResNet of depth 6n + 2 (20, 32, 44, 56, 110). Seed torch before for a repeatable start.

    `norm_options` go to every normalization. Raises `UserError` for another depth.
    """
    blocks, rest = divmod(depth - 2, 6)
    if blocks < 1 or rest:
        raise UserError(
            "resnet: depth",
            expected="6n + 2 with n >= 1",
            got=str(depth),
            change="take 20, 32, 44, 56 or 110",
        )
    return ResNet(blocks, in_channels, classes, width, normalization, norm_options)
