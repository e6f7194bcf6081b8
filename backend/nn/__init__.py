"""Modules for training one sample at a time, and the reference models."""

from __future__ import annotations

from .mlp import MLP, mlp
from .norms import make_norm, norm_kinds, replace_norms
from .online_norm import OnlineNorm
from .registry import ModelEntry, model_entry, models
from .resnet import ResNet, resnet

__all__ = [
    "MLP",
    "ModelEntry",
    "OnlineNorm",
    "ResNet",
    "make_norm",
    "mlp",
    "model_entry",
    "models",
    "norm_kinds",
    "replace_norms",
    "resnet",
]
