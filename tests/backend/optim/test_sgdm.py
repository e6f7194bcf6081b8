"""SGDM with its compensations, braking among them, against loops over single numbers."""

from __future__ import annotations

import math
from typing import Any

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


@pytest.mark.parametrize("name", ["none", "nesterov", "sc", "sc2d", "lwp", "lwp_w", "sc+lwp_w"])
def test_steps_and_predictions_are_those_of_a_loop_over_numbers(name: str) -> None:
    """By the formulas of Kosson et al. 2021, with weight decay, three updates late."""
    m, decay, rate, delay = 0.8, 0.1, 0.05, 3
    nesterov = name == "nesterov"
    compensation = "none" if nesterov else name
    rule = build_rule(
        "sgdm", momentum=m, weight_decay=decay, nesterov=nesterov, compensation=compensation
    )
    spike = delay * {"sc": 1, "sc2d": 2, "sc+lwp_w": 1}.get(name, 0)
    a, b = (m, 1.0) if nesterov else (m**spike, sum(m**n for n in range(spike)))
    generator = np.random.default_rng(0)
    weight: Any = generator.standard_normal((2, 3))
    state = rule.init(weight, np)
    w, v, before = weight.ravel().tolist(), [0.0] * 6, weight.ravel().tolist()
    for _ in range(5):
        ahead = [x - rate * delay * y for x, y in zip(w, v, strict=True)]
        if name.endswith("lwp_w"):
            ahead = [x + delay * (x - y) for x, y in zip(w, before, strict=True)]
        expected = ahead if "lwp" in name else w
        predicted = rule.predict(weight, state, delay, rate, np)
        np.testing.assert_allclose(predicted.ravel(), expected, rtol=1e-9, atol=1e-9)
        gradient = generator.standard_normal((2, 3))
        weight, state = rule.update(weight, gradient, state, delay, rate, np)
        g = [x + decay * y for x, y in zip(gradient.ravel().tolist(), w, strict=True)]
        v = [m * x + y for x, y in zip(v, g, strict=True)]
        before, w = w, [x - rate * (a * y + b * z) for x, y, z in zip(w, v, g, strict=True)]
        np.testing.assert_allclose(weight.ravel(), w, rtol=1e-12)
