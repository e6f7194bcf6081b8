"""Rules of masks, and arrays to choose from."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from weft.sparsity import MaskRule, configure

SHAPE = (20, 30)


def rule_of(config: dict[str, Any], shape: tuple[int, ...] = SHAPE) -> MaskRule:
    return configure(config).rules({"w": torch.empty(shape, device="meta")})["w"]


def random_array(seed: int, shape: tuple[int, ...] = SHAPE) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


ALGORITHMS: dict[str, dict[str, Any]] = {
    "set": {"algorithm": "set", "sparsity": 0.83},
    "rigl": {"algorithm": "rigl", "sparsity": 0.83},
    "set-schedule": {
        "algorithm": "set",
        "sparsity": {"type": "cosine", "init": 0.9, "half_period": 400, "minimum": 0.3},
        "drop_fraction": {"type": "cosine", "init": 0.3, "half_period": 1000},
    },
    "gmp": {"algorithm": "gmp", "sparsity": {"type": "linear", "init": 0.0, "slope": 0.0009}},
    "gmp-exp": {"algorithm": "gmp", "sparsity": {"type": "exp", "init": 0.1, "gamma": -0.004}},
    "gmp-cycling": {"algorithm": "gmp", "sparsity": [0.5, 0.7, 0.6]},
}
