"""The models weft knows by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from torch import nn

from ..errors import UnknownNameError
from .mlp import mlp
from .resnet import resnet


@dataclass(frozen=True)
class ModelEntry:
    """A named model. `factory(in_channels=, classes=, normalization=)` builds it.

    `input_shape` is one sample's (C, H, W) at the factory's defaults.
    """

    name: str
    factory: Callable[..., nn.Module]
    input_shape: tuple[int, int, int]
    classes: int
    description: str


def _resnet_entry(depth: int) -> ModelEntry:
    stages = 9 * (depth - 2) // 6 + 7
    return ModelEntry(
        f"resnet{depth}",
        partial(resnet, depth),
        (3, 32, 32),
        10,
        f"pre-activation ResNet of depth {depth} for 32x32 images; {stages} stages",
    )


_ENTRIES = (
    *(_resnet_entry(depth) for depth in (20, 32, 44, 56, 110)),
    ModelEntry("mlp", mlp, (1, 8, 8), 10, "four linear layers of width 64 for 8x8 images"),
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
