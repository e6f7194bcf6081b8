"""Modules for training one sample at a time, and transformations of models.

`weft.nn.OnlineNorm`, `weft.nn.replace_norms`, `weft.nn.sparse_ift`.
"""

from __future__ import annotations

from .backend.nn import (
    BatchChannelNorm,
    FilterResponseNorm,
    HebbianClassifier,
    HebbianSoftmax,
    OnlineLSTMCell,
    OnlineNorm,
    RMSNorm,
    SoftPrompt,
    SparseIFT,
    Upcycled,
    depth,
    expert_loads,
    load_prompt,
    lora,
    make_norm,
    norm_kinds,
    plastic_mlp,
    prune_depth,
    replace_norms,
    reversible,
    save_prompt,
    sparse_ift,
    standardize_weights,
    upcycle,
    widened,
)

__all__ = [
    "BatchChannelNorm",
    "FilterResponseNorm",
    "HebbianClassifier",
    "HebbianSoftmax",
    "OnlineLSTMCell",
    "OnlineNorm",
    "RMSNorm",
    "SoftPrompt",
    "SparseIFT",
    "Upcycled",
    "depth",
    "expert_loads",
    "load_prompt",
    "lora",
    "make_norm",
    "norm_kinds",
    "plastic_mlp",
    "prune_depth",
    "replace_norms",
    "reversible",
    "save_prompt",
    "sparse_ift",
    "standardize_weights",
    "upcycle",
    "widened",
]
