"""Modules for training one sample at a time, and the reference models."""

from __future__ import annotations

from ..named_models import ModelEntry, model_entry, models
from . import depth, lora, reversible
from .depth import prune_depth
from .hebbian import HebbianClassifier, HebbianSoftmax, plastic_mlp
from .ift_sizes import widened
from .mlp import MLP, mlp
from .norm_swap import replace_norms
from .norms import make_norm, norm_kinds
from .online_norm import OnlineNorm
from .prompt import SoftPrompt, load_prompt, save_prompt
from .recurrent import OnlineLSTMCell
from .resnet import ResNet, resnet
from .rev_unet import rev_unet
from .revbifpn import revbifpn
from .revnet import revnet
from .rivals import BatchChannelNorm, FilterResponseNorm, RMSNorm
from .sparse_ift import SparseIFT, sparse_ift
from .upcycling import Upcycled, expert_loads, upcycle
from .weight_standardization import standardize_weights

__all__ = [
    "MLP",
    "BatchChannelNorm",
    "FilterResponseNorm",
    "HebbianClassifier",
    "HebbianSoftmax",
    "ModelEntry",
    "OnlineLSTMCell",
    "OnlineNorm",
    "RMSNorm",
    "ResNet",
    "SoftPrompt",
    "SparseIFT",
    "Upcycled",
    "depth",
    "expert_loads",
    "load_prompt",
    "lora",
    "make_norm",
    "mlp",
    "model_entry",
    "models",
    "norm_kinds",
    "plastic_mlp",
    "prune_depth",
    "replace_norms",
    "resnet",
    "rev_unet",
    "revbifpn",
    "reversible",
    "revnet",
    "save_prompt",
    "sparse_ift",
    "standardize_weights",
    "upcycle",
    "widened",
]
