"""Reference models by name: `weft.models.models()`, `weft.models.resnet(20)`."""

from __future__ import annotations

from .backend.nn import (
    MLP,
    ModelEntry,
    ResNet,
    mlp,
    model_entry,
    models,
    resnet,
    rev_unet,
    revbifpn,
    revnet,
)

__all__ = [
    "MLP",
    "ModelEntry",
    "ResNet",
    "mlp",
    "model_entry",
    "models",
    "resnet",
    "rev_unet",
    "revbifpn",
    "revnet",
]
