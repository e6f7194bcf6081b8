"""The models weft knows by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from torch import nn

from ..errors import UnknownNameError
from .mlp import mlp
from .resnet import resnet
from .rev_unet import rev_unet
from .revbifpn import SIZES, revbifpn
from .revnet import revnet


@dataclass(frozen=True)
class ModelEntry:
    """A named model. `factory(in_channels=, classes=, normalization=)` builds it.

    `input_shape` is one sample's (C, *spatial) at the factory's defaults, `label_shape` its
    label's.
    """

    name: str
    factory: Callable[..., nn.Module]
    input_shape: tuple[int, ...]
    classes: int
    description: str
    label_shape: tuple[int, ...] = ()


def _resnet_entry(depth: int) -> ModelEntry:
    stages = 9 * (depth - 2) // 6 + 7
    return ModelEntry(
        f"resnet{depth}",
        partial(resnet, depth),
        (3, 32, 32),
        10,
        f"pre-activation ResNet of depth {depth} for 32x32 images; {stages} stages",
    )


def _revnet_entry(depth: int) -> ModelEntry:
    return ModelEntry(
        f"revnet{depth}",
        partial(revnet, depth),
        (3, 32, 32),
        10,
        f"reversible ResNet of depth {depth} for 32x32 images",
    )


def _revbifpn_entry(name: str) -> ModelEntry:
    side = SIZES[name].image
    return ModelEntry(
        f"revbifpn_{name}",
        partial(revbifpn, name),
        (3, side, side),
        1000,
        f"RevBiFPN {name.upper()}: reversible classifier of four scales",
    )


_ENTRIES = (
    *(_resnet_entry(depth) for depth in (20, 32, 44, 56, 110)),
    ModelEntry("mlp", mlp, (1, 8, 8), 10, "four linear layers of width 64 for 8x8 images"),
    *(_revnet_entry(depth) for depth in (38, 110)),
    *(_revbifpn_entry(name) for name in SIZES),
    ModelEntry(
        "rev_unet",
        rev_unet,
        (4, 16, 16, 16),
        4,
        "reversible 3-D U-Net of three levels for volumes; a label per voxel",
        label_shape=(16, 16, 16),
    ),
)


def models() -> dict[str, ModelEntry]:
    """All named models."""
    return {entry.name: entry for entry in _ENTRIES}


def model_entry(name: str) -> ModelEntry:
    """The entry of `name`; raises `UnknownNameError` with the closest names."""
    known = models()
    if name not in known:
        raise UnknownNameError("model", name, known, "weft models")
    return known[name]
