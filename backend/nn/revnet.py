"""RevNets for small images (Gomez et al. 2017, arXiv:1707.04585): ResNets that keep no activations.

Three groups of blocks on the halves of the channels; where the width changes, an ordinary block of
full width stands between them. Parameters are those of the published networks (RevNet-38: 573,994,
RevNet-110: 1,854,890, with ten classes).
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import UserError
from .mbconv import MakeNorm, conv, norm_maker
from .reversible import AdditiveCoupling, ReversibleSequence

_WIDTHS = {38: (32, 32, 64, 112), 110: (32, 32, 64, 128), 164: (32, 32, 64, 128)}
_USUAL_WIDTHS = (32, 32, 64, 128)


class Residual(nn.Module):
    """norm-relu-conv, norm-relu-conv; (N, inputs, H, W) to (N, outputs, H/stride, W/stride)."""

    def __init__(self, inputs: int, outputs: int, norm: MakeNorm, stride: int = 1) -> None:
        super().__init__()
        self.norm1, self.conv1 = norm(inputs), conv(2, inputs, outputs, 3, stride=stride)
        self.norm2, self.conv2 = norm(outputs), conv(2, outputs, outputs, 3)

    def forward(self, x: Tensor) -> Tensor:
        """The residual alone."""
        return self.conv2(F.relu(self.norm2(self.conv1(F.relu(self.norm1(x))))))


class Transition(nn.Module):
    """A residual block that changes width and size: not reversible, its input is kept."""

    def __init__(self, inputs: int, outputs: int, norm: MakeNorm) -> None:
        super().__init__()
        self.residual = Residual(inputs, outputs, norm, stride=2)
        self.shortcut = nn.Sequential(
            conv(2, inputs, outputs, 1, stride=2, padding=0), norm(outputs)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) to (N, outputs, H/2, W/2)."""
        return self.residual(x) + self.shortcut(x)


class RevNet(nn.Module):
    """Stem, three groups of reversible blocks joined by transitions, norm-relu-pool-classifier."""

    def __init__(
        self,
        blocks: int,
        widths: tuple[int, ...],
        in_channels: int,
        classes: int,
        norm: MakeNorm,
        keeps: bool,
    ) -> None:
        super().__init__()
        stem, *groups = widths
        self.stem = conv(2, in_channels, stem, 3)
        self.transitions, self.groups = nn.ModuleList(), nn.ModuleList()
        for inputs, outputs in zip(widths, groups, strict=False):
            changes = inputs != outputs
            self.transitions.append(Transition(inputs, outputs, norm) if changes else nn.Identity())
            half, count = outputs // 2, blocks - changes
            couplings = (
                AdditiveCoupling(Residual(half, half, norm), Residual(half, half, norm))
                for _ in range(count)
            )
            self.groups.append(ReversibleSequence(*couplings, keeps=keeps))
        self.norm, self.classifier = norm(groups[-1]), nn.Linear(groups[-1], classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        """Logits (N, classes) of images (N, in_channels, H, W)."""
        x = self.stem(x)
        for transition, group in zip(self.transitions, self.groups, strict=True):
            x = torch.cat(group(*transition(x).chunk(2, 1)), 1)
        return self.classifier(F.relu(self.norm(x)).mean((2, 3)))


def revnet(
    depth: int = 38,
    in_channels: int = 3,
    classes: int = 10,
    normalization: str = "online",
    keeps: bool = False,
    widths: tuple[int, ...] | None = None,
    **norm_options: Any,
) -> RevNet:
    """A RevNet of depth 12n + 2 (38, 110). With `keeps` all activations are kept, as in a ResNet.

    `widths` are the channels of the stem and of the three groups. Raises UserError for another
    depth.
    """
    blocks, rest = divmod(depth - 2, 12)
    if blocks < 1 or rest:
        raise UserError(
            "revnet: depth",
            expected="12n + 2 with n >= 1",
            got=str(depth),
            change="take 14, 26, 38 or 110",
        )
    chosen = widths or _WIDTHS.get(depth, _USUAL_WIDTHS)
    norm = norm_maker(normalization, norm_options)
    return RevNet(blocks, tuple(chosen), in_channels, classes, norm, keeps)
