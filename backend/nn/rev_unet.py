"""A reversible 3-D U-Net for segmentation (after Pendse et al. 2020, arXiv:2104.09648).

Only the paper's outline is public. As there: blocks are additive couplings of MBConv functions in
three dimensions, down- and up-sampling are not reversible and keep their inputs. Chosen here:
strided 3x3x3 convolutions down, 2x2x2 transposed convolutions up, skip connections added at a
level's output, an expansion of 2, no squeeze and excitation, one normalization for all.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import UserError
from .mbconv import MakeNorm, MBConv, conv, norm_maker
from .reversible import AdditiveCoupling, ReversibleSequence


class ReversibleLevel(nn.Module):
    """Reversible blocks on the halves of the channels; (N, C, D, H, W) to the same shape."""

    def __init__(self, channels: int, blocks: int, norm: MakeNorm, keeps: bool) -> None:
        super().__init__()
        half = channels // 2

        def function() -> MBConv:
            return MBConv(half, half, norm, expansion=2, spatial=3)

        couplings = (AdditiveCoupling(function(), function()) for _ in range(blocks))
        self.blocks = ReversibleSequence(*couplings, keeps=keeps)

    def forward(self, x: Tensor) -> Tensor:
        """Same shape as x."""
        return torch.cat(self.blocks(*x.chunk(2, 1)), 1)


class ReversibleUNet(nn.Module):
    """Levels down and up, their outputs of equal size added, a score per class and voxel."""

    def __init__(
        self,
        in_channels: int,
        classes: int,
        width: int,
        levels: int,
        blocks: int,
        norm: MakeNorm,
        keeps: bool,
    ) -> None:
        super().__init__()
        channels = [width * 2**level for level in range(levels)]
        pairs = list(pairwise(channels))
        self.stem = conv(3, in_channels, width, 3)
        self.encoder = nn.ModuleList(ReversibleLevel(c, blocks, norm, keeps) for c in channels)
        self.downs = nn.ModuleList(conv(3, a, b, 3, stride=2) for a, b in pairs)
        self.ups = nn.ModuleList(
            nn.ConvTranspose3d(b, a, 2, stride=2, bias=False) for a, b in reversed(pairs)
        )
        self.decoder = nn.ModuleList(
            ReversibleLevel(a, blocks, norm, keeps) for a, _ in reversed(pairs)
        )
        self.norm, self.classifier = norm(width), conv(3, width, classes, 1, bias=True)
        self._multiple = 2 ** (levels - 1)

    def forward(self, x: Tensor) -> Tensor:
        """Scores (N, classes, D, H, W) of volumes (N, in_channels, D, H, W).

        Raises UserError for sides that the levels cannot halve.
        """
        if any(side % self._multiple for side in x.shape[2:]):
            raise UserError(
                "reversible U-Net: volume",
                expected=f"sides that are multiples of {self._multiple}",
                got=" x ".join(map(str, x.shape[2:])),
                change="pad the volume, or take fewer levels",
            )
        x, skips = self.encoder[0](self.stem(x)), []
        for down, level in zip(self.downs, self.encoder[1:], strict=True):
            skips.append(x)
            x = level(down(x))
        for up, level, skip in zip(self.ups, self.decoder, reversed(skips), strict=True):
            x = level(up(x) + skip)
        return self.classifier(nn.functional.hardswish(self.norm(x)))


def rev_unet(
    in_channels: int = 4,
    classes: int = 4,
    width: int = 16,
    levels: int = 3,
    blocks: int = 2,
    normalization: str = "online",
    keeps: bool = False,
    **norm_options: Any,
) -> ReversibleUNet:
    """A reversible 3-D U-Net, or with `keeps` its twin that keeps all activations.

    Both have the same parameters and compute the same. Raises UserError for an odd `width`.
    """
    if width < 2 or width % 2:
        raise UserError(
            "rev_unet: width",
            expected="an even number of channels",
            got=str(width),
            change="add one",
        )
    norm = norm_maker(normalization, norm_options)
    return ReversibleUNet(in_channels, classes, width, levels, blocks, norm, keeps)
