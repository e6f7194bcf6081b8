"""AdamW in a rotated basis: against loops, and on quadratics whose axes are not the coordinates."""

from __future__ import annotations

from collections import deque

import numpy as np
import pytest
from weft.backend.optim import UpdateRule, build_rule

RATE, BETAS, EPS = 0.05, (0.9, 0.99), 1e-8


def by_gram_schmidt(matrix: np.ndarray) -> np.ndarray:
    columns: list[np.ndarray] = []
    for column in matrix.T:
        for other in columns:
            column = column - (other @ column) * other
        columns.append(column / np.linalg.norm(column))
    return np.stack(columns, 1)


@pytest.mark.parametrize("largest", [0, 4, 9])
def test_steps_are_those_of_the_formula(largest: int) -> None:
    """Both sides are rotated, or those of at most so many entries."""
    generator = np.random.default_rng(0)
    rule = build_rule("rotated_adamw", betas=BETAS, eps=EPS, rotate_every=3, rotate_largest=largest)
    weights = expected = generator.normal(size=(4, 6))
    state = rule.init(weights, np)
    first, second = np.zeros((4, 6)), np.zeros((4, 6))
    covariances, bases = [np.zeros((4, 4)), np.zeros((6, 6))], [np.eye(4), np.eye(6)]
    for count, g in enumerate(generator.normal(size=(10, 4, 6))):
        weights, state = rule.update(weights, g, state, 7, RATE, np)
        for side, product in enumerate((g @ g.T, g.T @ g)):
            covariances[side] = 0.99 * covariances[side] + 0.01 * product
            if count % 3 == 0 and len(product) <= largest:
                shift = 0.01 * np.trace(covariances[side]) / len(product)
                shifted = covariances[side] + shift * np.eye(len(product))
                bases[side] = by_gram_schmidt(shifted @ bases[side])
        left, right = bases
        first = 0.9 * first + 0.1 * g
        second = 0.99 * second + 0.01 * (left.T @ g @ right) ** 2
        mean, spread = first / (1 - 0.9 ** (count + 1)), second / (1 - 0.99 ** (count + 1))
        floor = EPS + 0.001 * np.sqrt(spread.mean()) * (largest > 0)
        step = left.T @ mean @ right / (np.sqrt(spread) + floor)
        expected = expected - RATE * left @ step @ right.T
    np.testing.assert_allclose(weights, expected, rtol=1e-7, atol=1e-9 if largest else 1e-2)


def best_loss(rule: UpdateRule, delay: int, rotation: np.ndarray) -> float:
    """Of |A W A|^2 with curvatures from 1 to 300 along turned axes, gradients `delay` updates old,
    the mean of the last updates at the best of some rates."""
    size = len(rotation)
    turned = rotation @ np.diag(np.geomspace(1, 300**0.25, size)) @ rotation.T
    found = []
    for rate in (0.003, 0.01, 0.03, 0.1):
        weights = np.random.default_rng(0).normal(size=(size, size))
        state, past, losses = rule.init(weights, np), deque([weights] * (delay + 1)), []
        for update in range(400):
            past.append(weights)
            stale = past.popleft()
            gradient = 2 * turned @ turned @ stale @ turned @ turned
            falling = rate * (1 - update / 400)
            weights, state = rule.update(weights, gradient, state, delay, falling, np)
            losses.append(float(np.sum((turned @ weights @ turned) ** 2)))
        found.append(np.mean(losses[-20:]))
    return float(np.nanmin(found))


def test_under_delay_turned_axes_hurt_adamw_more_than_the_rotated_one() -> None:
    turned = np.linalg.qr(np.random.default_rng(1).normal(size=(8, 8)))[0]
    losses = {
        name: best_loss(build_rule(name, betas=(0.9, 0.99)), 10, turned)
        for name in ("adamw", "rotated_adamw")
    }
    straight = best_loss(build_rule("adamw", betas=(0.9, 0.99)), 10, np.eye(8))
    assert straight < losses["adamw"]
    assert losses["rotated_adamw"] < losses["adamw"]
