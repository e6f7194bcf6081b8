"""Updates of a quadratic under a rule."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
from weft.optim import UpdateRule

MOMENTUM, LR, CURVATURES = 0.8, 0.05, np.array([1.0, 3.0, 0.2])


def run(
    rule: UpdateRule, gradients: np.ndarray, delay: int, lr: float = LR, xp: ModuleType = np
) -> list[np.ndarray]:
    """Weights after each of the given gradients, from a fixed start."""
    weights: Any = xp.asarray(np.array([1.0, -2.0, 0.5]))
    state, history = rule.init(weights, xp), []
    for gradient in gradients:
        weights, state = rule.update(weights, xp.asarray(gradient), state, delay, lr, xp)
        history.append(np.asarray(weights))
    return history
