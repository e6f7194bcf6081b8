"""RevBiFPN classifiers S0 to S6 (Chiley et al., MLSys 2023, arXiv:2206.14098).

A reversible backbone of four scales, a neck that is recomputed, and a head that gathers all scales.
Sizes are those of the published code: parameters agree to the unit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from ..errors import UnknownNameError, UserError
from .mbconv import MakeNorm, MBConv, conv, norm_maker
from .reversible import AdditiveCoupling, Recomputed, ReversibleLayer, ReversibleSequence, RevSilo
from .stochastic_depth import StochasticDepth

_PATCH, _SCALES = 4, 4
_CHANNELS, _HEAD_CHANNELS, _FEATURES = (48, 64, 80, 160), (48, 64, 128, 320), (1280,)


@dataclass(frozen=True)
class Bottleneck:
    """Of one scale: expansion, squeezed share of the input channels, kernel and its addition."""

    expansion: int
    se_ratio: float
    kernel: int
    extra_kernel: int

    @property
    def whole_kernel(self) -> int:
        """The kernel inside a scale."""
        return self.kernel + self.extra_kernel


_BODY = (
    Bottleneck(1, 0.25, 3, 0),
    Bottleneck(1, 0.25, 5, 0),
    Bottleneck(2, 0.125, 5, 0),
    Bottleneck(2, 0.0, 3, 2),
)
_NECK = (
    Bottleneck(1, 0.25, 3, 2),
    Bottleneck(2, 0.25, 3, 2),
    Bottleneck(2, 0.125, 3, 2),
    Bottleneck(2, 0.125, 3, 2),
)


@dataclass(frozen=True)
class RevBiFPNSize:
    """A member of the family; `stochastic_depth` is the rate of its last layer."""

    width: float
    extra_layers: int
    image: int
    dropout: float
    stochastic_depth: float

    def channels(self, base: tuple[int, ...]) -> tuple[int, ...]:
        """Base channels times the width, down to a multiple of 16."""
        return tuple(int(count * self.width + 1e-6) // 16 * 16 for count in base)


SIZES = {
    "s0": RevBiFPNSize(1, 2, 224, 0.25, 0.0),
    "s1": RevBiFPNSize(4 / 3, 2, 256, 0.25, 0.0),
    "s2": RevBiFPNSize(2, 2, 256, 0.3, 0.0),
    "s3": RevBiFPNSize(8 / 3, 3, 288, 0.3, 0.05),
    "s4": RevBiFPNSize(4, 4, 320, 0.4, 0.1),
    "s5": RevBiFPNSize(16 / 3, 4, 352, 0.4, 0.1),
    "s6": RevBiFPNSize(20 / 3, 5, 352, 0.6, 0.3),
}


class SpaceToDepth(nn.Module):
    """(N, in, H, W) to (N, channels, H/4, W/4): a permutation of pixels, no parameters.

    Channels are block row, block column, input channel; input channels are repeated cyclically to
    channels / 16.
    """

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.in_channels, self.repeated = in_channels, channels // _PATCH**2

    def forward(self, x: Tensor) -> Tensor:
        """Raises UserError for an image whose sides are no multiple of 4."""
        count, _, height, width = x.shape
        if height % _PATCH or width % _PATCH:
            raise UserError(
                "RevBiFPN: image",
                expected=f"sides that are multiples of {_PATCH}",
                got=f"{height} x {width}",
                change="pad or resize the images",
            )
        times = math.ceil(self.repeated / self.in_channels)
        x = x.repeat(1, times, 1, 1)[:, : self.repeated] if times > 1 else x[:, : self.repeated]
        x = x.reshape(count, self.repeated, height // _PATCH, _PATCH, width // _PATCH, _PATCH)
        return x.permute(0, 3, 5, 1, 2, 4).flatten(1, 3)


def _bottleneck(
    kind: Bottleneck, inputs: int, outputs: int, norm: MakeNorm, kernel: int, stride: int = 1
) -> MBConv:
    return MBConv(inputs, outputs, norm, kernel, stride, kind.expansion, kind.se_ratio)


class RevBiFPNBackbone(nn.Module):
    """Images to four scales: everything after the permutation of pixels is one reversible chain."""

    def __init__(self, size: RevBiFPNSize, in_channels: int, norm: MakeNorm, keeps: bool) -> None:
        super().__init__()
        self.channels, self.norm = size.channels(_CHANNELS), norm
        self.stem = SpaceToDepth(in_channels, self.channels[0])
        scales = [*range(1, _SCALES), *[_SCALES] * size.extra_layers]
        layers: list[ReversibleLayer] = []
        for number, count in enumerate(scales, start=1):
            rate = size.stochastic_depth * number / len(scales)
            for _ in range(2):
                layers += [self._coupling(scale, rate) for scale in range(count)]
            layers.append(self._silo(min(count + 1, _SCALES), rate, creates=count < _SCALES))
        self.body = ReversibleSequence(*layers, keeps=keeps)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """The scales, finest first: sides / 4, / 8, / 16, / 32."""
        return self.body(self.stem(x))  # type: ignore[return-value]

    def _coupling(self, scale: int, rate: float) -> AdditiveCoupling:
        kind, channels = _BODY[scale], self.channels[scale]
        halves = channels // 2, channels - channels // 2
        f, g = (
            StochasticDepth(_bottleneck(kind, inputs, outputs, self.norm, kind.whole_kernel), rate)
            for inputs, outputs in (halves[::-1], halves)
        )
        return AdditiveCoupling(f, g, stream=scale)

    def _silo(self, scales: int, rate: float, creates: bool) -> RevSilo:
        def down(i: int, j: int) -> nn.Module:
            stride, is_new = 2 ** (j - i), creates and j == scales - 1
            kernel = 2 * stride - 1 + _BODY[i].extra_kernel
            edge = _bottleneck(
                _BODY[i], self.channels[i], self.channels[j], self.norm, kernel, stride
            )
            return edge if is_new else StochasticDepth(edge, rate)

        def up(i: int, j: int) -> nn.Module:
            kernel = 3 + _BODY[i].extra_kernel
            edge = _bottleneck(_BODY[j], self.channels[i], self.channels[j], self.norm, kernel)
            grow = nn.Upsample(scale_factor=2 ** (i - j), mode="bilinear")
            return StochasticDepth(nn.Sequential(edge, grow), rate)

        return RevSilo(scales, down, up, creates)


class RevBiFPNHead(nn.Module):
    """Neck and classifier: each scale through a recomputed MBConv, then all from fine to coarse."""

    def __init__(self, size: RevBiFPNSize, classes: int, norm: MakeNorm, keeps: bool) -> None:
        super().__init__()
        channels, wide = size.channels(_CHANNELS), size.channels(_HEAD_CHANNELS)
        (features,) = size.channels(_FEATURES)
        neck = (
            _bottleneck(kind, channels[i], wide[i], norm, kind.whole_kernel)
            for i, kind in enumerate(_NECK)
        )
        self.neck = nn.ModuleList(one if keeps else Recomputed(one) for one in neck)
        self.downs = nn.ModuleList(
            _bottleneck(_NECK[i], wide[i], wide[i + 1], norm, _NECK[i + 1].whole_kernel, 2)
            for i in range(_SCALES - 1)
        )
        self.last = nn.Sequential(conv(2, wide[-1], features, 1), norm(features), nn.Hardswish())
        self.dropout, self.classifier = nn.Dropout(size.dropout), nn.Linear(features, classes)

    def forward(self, scales: tuple[Tensor, ...]) -> Tensor:
        """Logits (N, classes)."""
        first, *others = (neck(x) for neck, x in zip(self.neck, scales, strict=True))
        for down, x in zip(self.downs, others, strict=True):
            first = x + down(first)
        return self.classifier(self.dropout(self.last(first).mean((2, 3))))


class RevBiFPN(nn.Module):
    """A RevBiFPN classifier; see `revbifpn`."""

    def __init__(
        self, size: RevBiFPNSize, in_channels: int, classes: int, norm: MakeNorm, keeps: bool
    ) -> None:
        super().__init__()
        self.backbone = RevBiFPNBackbone(size, in_channels, norm, keeps)
        self.head = RevBiFPNHead(size, classes, norm, keeps)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (N, classes) of images (N, in_channels, H, W); sides are multiples of 32."""
        return self.head(self.backbone(x))


def revbifpn(
    size: str = "s0",
    in_channels: int = 3,
    classes: int = 1000,
    normalization: str = "online",
    keeps: bool = False,
    **norm_options: Any,
) -> RevBiFPN:
    """RevBiFPN 's0' to 's6'. With `keeps` all activations are kept, as in an ordinary network.

    The paper's normalization is 'batch' with eps 1e-3. Raises UnknownNameError for another size.
    """
    if size not in SIZES:
        raise UnknownNameError("RevBiFPN size", size, SIZES, "weft models")
    norm = norm_maker(normalization, norm_options)
    return RevBiFPN(SIZES[size], in_channels, classes, norm, keeps)
