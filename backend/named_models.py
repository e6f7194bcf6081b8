"""The models weft knows by name. torch is imported when one of them is built."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING

from .errors import UnknownNameError

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class Builder:
    """A function of a module of `weft.backend.nn` and its first arguments."""

    module: str
    function: str
    arguments: tuple[int | str, ...] = ()

    def load(self) -> Callable[..., nn.Module]:
        """The function with those arguments; imports torch."""
        module = import_module(f".nn.{self.module}", __package__)
        return partial(getattr(module, self.function), *self.arguments)


@dataclass(frozen=True)
class ModelEntry:
    """A named model.

    `input_shape` is one sample's (C, *spatial) at the factory's defaults, `label_shape` its
    label's.
    """

    name: str
    builder: Builder
    input_shape: tuple[int, ...]
    classes: int
    description: str
    label_shape: tuple[int, ...] = ()

    @property
    def factory(self) -> Callable[..., nn.Module]:
        """Builds the model from `in_channels`, `classes`, `normalization` and its own options."""
        return self.builder.load()


def _resnet_entry(depth: int) -> ModelEntry:
    stages = 9 * (depth - 2) // 6 + 7
    return ModelEntry(
        f"resnet{depth}",
        Builder("resnet", "resnet", (depth,)),
        (3, 32, 32),
        10,
        f"pre-activation ResNet of depth {depth} for 32x32 images; {stages} stages",
    )


def _revnet_entry(depth: int) -> ModelEntry:
    return ModelEntry(
        f"revnet{depth}",
        Builder("revnet", "revnet", (depth,)),
        (3, 32, 32),
        10,
        f"reversible ResNet of depth {depth} for 32x32 images",
    )


_REVBIFPN_IMAGES = {
    "s0": 224,
    "s1": 256,
    "s2": 256,
    "s3": 288,
    "s4": 320,
    "s5": 352,
    "s6": 352,
}
"""Height and width in pixels, as in `nn.revbifpn.SIZES`, which needs torch."""


def _revbifpn_entry(name: str, side: int) -> ModelEntry:
    return ModelEntry(
        f"revbifpn_{name}",
        Builder("revbifpn", "revbifpn", (name,)),
        (3, side, side),
        1000,
        f"RevBiFPN {name.upper()}: reversible classifier of four scales",
    )


_ENTRIES = (
    *(_resnet_entry(depth) for depth in (20, 32, 44, 56, 110)),
    ModelEntry(
        "mlp", Builder("mlp", "mlp"), (1, 8, 8), 10, "four linear layers of width 64 for 8x8 images"
    ),
    *(_revnet_entry(depth) for depth in (38, 110)),
    *(_revbifpn_entry(*size) for size in _REVBIFPN_IMAGES.items()),
    ModelEntry(
        "rev_unet",
        Builder("rev_unet", "rev_unet"),
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
