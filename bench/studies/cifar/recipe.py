"""What every method of the study has in common, and the recipe of a run by weft."""

from __future__ import annotations

from typing import Any

from ....compiler.recipes.read import make_recipe
from ....compiler.recipes.recipe import Recipe
from ..training import SEQUENTIAL, RunSetting

BATCH = 128
BY_TORCH = f"batch {BATCH}, BatchNorm"
"""The method that torch runs."""

METHODS = (BY_TORCH, SEQUENTIAL, "sc+lwp")

RATE, MOMENTUM, DECAY, WARMUP = 0.1, 0.9, 2e-4, 0.05
"""Of batch size 128; at batch size 1 rate and momentum are scaled (`scale_to_batch_size`)."""

VALIDATION, PAD, DEPTH = 0.1, 4, 20

_COMMON: dict[str, Any] = {
    "model": f"resnet{DEPTH}",
    "input": {"shape": [3, 32, 32], "classes": 10},
    "normalization": {"kind": "online", "alpha_fwd": 1023 / 1024, "alpha_bkw": 127 / 128},
    "augmentation": {"pad_crop": PAD, "flip": True},
    "training": {"validation": VALIDATION, "workers": 1},
    "data": "cifar10",
}


def cifar_recipe(setting: RunSetting, epochs: int) -> Recipe:
    """The recipe of a run at batch size 1; the decays of Online Normalization are its paper's."""
    optimizer = {
        "name": "sgdm",
        "lr": RATE * setting.factor,
        "momentum": MOMENTUM,
        "weight_decay": DECAY,
        "reference_batch_size": BATCH,
        "schedule": {"kind": "cosine", "warmup": WARMUP},
    }
    pipeline = {"mode": setting.mode}
    if setting.mode == "pipelined":
        pipeline["compensation"] = setting.method
    run = {"optimizer": optimizer, "pipeline": pipeline, "epochs": epochs, "seed": setting.seed}
    return make_recipe({**_COMMON, **run}, where="the study of CIFAR-10")
