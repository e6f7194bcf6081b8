"""AdamW for delayed gradients (Loshchilov and Hutter 2019, with weight stashing or prediction)."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from helpers.update_rules import LR, run
from weft.optim import build_rule


def test_adamw_is_torch_adamw(gradients: np.ndarray) -> None:
    rule = build_rule("adamw", weight_decay=0.1)
    weights = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64, requires_grad=True)
    reference = torch.optim.AdamW([weights], lr=LR, weight_decay=0.1)
    for gradient, ours in zip(gradients, run(rule, gradients, 0), strict=True):
        weights.grad = torch.from_numpy(gradient)
        reference.step()
        np.testing.assert_allclose(ours, weights.detach().numpy(), rtol=1e-12)


def test_adamw_prediction_is_its_own_step_repeated() -> None:
    rule = build_rule("adamw", weight_decay=0.1, compensation="lwp")
    weights: Any = np.array([1.0, -2.0])
    state = rule.init(weights, np)
    np.testing.assert_array_equal(rule.predict(weights, state, 3, LR, np), weights)
    new, state = rule.update(weights, np.array([0.3, -0.1]), state, 3, LR, np)
    direction = (weights - 0.1 * LR * weights - new) / LR
    np.testing.assert_allclose(direction, [1.0, -1.0], rtol=1e-6)
    expected = new - 3 * LR * (direction + 0.1 * new)
    np.testing.assert_allclose(rule.predict(new, state, 3, LR, np), expected, rtol=1e-12)
