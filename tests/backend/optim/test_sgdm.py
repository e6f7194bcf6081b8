"""Adaptive braking with weight decay against a loop over single numbers."""

from __future__ import annotations

import math

import numpy as np
import pytest
from weft.backend.optim import build_rule

MOMENTUM, DECAY, RATE, UPDATES = 0.8, 0.3, 0.05, 12


def braked(weights: list[float], gradients: list[list[float]], rho: float) -> list[float]:
    """By numbers: decay joins the gradient first, and the angle is that of the sum."""
    velocity = [0.0] * len(weights)
    for gradient in gradients:
        g = [a + DECAY * w for a, w in zip(gradient, weights, strict=True)]
        lengths = math.sqrt(sum(a * a for a in g)) * math.sqrt(sum(v * v for v in velocity))
        inner = sum(a * v for a, v in zip(g, velocity, strict=True))
        factor = 1 - rho * (inner / lengths if lengths else 0.0)
        velocity = [MOMENTUM * v + factor * a for v, a in zip(velocity, g, strict=True)]
        weights = [w - RATE * v for w, v in zip(weights, velocity, strict=True)]
    return weights


@pytest.mark.parametrize("rho", [0.5, 2.0])
def test_braking_with_decay(rho: float) -> None:
    gradients = np.random.default_rng(0).normal(size=(UPDATES, 5))
    rule = build_rule(
        "sgdm", momentum=MOMENTUM, weight_decay=DECAY, compensation="ab", braking_rho=rho
    )
    weights = start = np.linspace(-1, 1, 5)
    state = rule.init(weights, np)
    for gradient in gradients:
        weights, state = rule.update(weights, gradient, state, 7, RATE, np)
    expected = braked(start.tolist(), gradients.tolist(), rho)
    np.testing.assert_allclose(weights, expected, rtol=1e-12)
    assert not np.allclose(expected, braked(start.tolist(), gradients.tolist(), 0.0))
