"""Parameters as matrices, for rules whose step mixes a parameter's entries."""

from __future__ import annotations

import numpy as np
import pytest
from weft.backend.optim import build_rule
from weft.backend.optim.matrices import NEWTON_SCHULZ, orthogonalized

SHAPES = [(5, 5), (4, 9), (9, 4), (2, 30)]


RATE, DECAY, MOMENTUM = 0.05, 0.3, 0.9


def by_singular_values(matrix: np.ndarray) -> np.ndarray:
    left, values, right = np.linalg.svd(matrix, full_matrices=False)
    values = values / (np.linalg.norm(matrix) + 1e-7)
    a, b, c = NEWTON_SCHULZ
    for _ in range(5):
        values = a * values + b * values**3 + c * values**5
    return left * values @ right


@pytest.mark.parametrize("shape", SHAPES)
def test_orthogonalized_keeps_singular_vectors_and_evens_values(shape: tuple[int, int]) -> None:
    matrix = np.random.default_rng(0).normal(size=shape)
    got = orthogonalized(matrix, np)
    np.testing.assert_allclose(got, by_singular_values(matrix), rtol=1e-9, atol=1e-12)
    values = np.linalg.svd(got, compute_uv=False)
    assert values.min() > 0.5
    assert values.max() < 1.5
    assert not orthogonalized(np.zeros(shape), np).any()


@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize("name", ["muon", "normuon"])
@pytest.mark.parametrize("shape", [(4, 9), (9, 4), (6, 2, 3, 1)])
def test_steps_are_those_of_the_formula(name: str, nesterov: bool, shape: tuple[int, ...]) -> None:
    """Convolutions are matrices of out x the rest. Row by row NorMuon, in a loop."""
    generator = np.random.default_rng(1)
    rule = build_rule(name, momentum=MOMENTUM, weight_decay=DECAY, nesterov=nesterov)
    weights = start = generator.normal(size=shape)
    expected, velocity = start.reshape(shape[0], -1), np.zeros((shape[0], start[0].size))
    means = [0.0] * shape[0]
    state = rule.init(start, np)
    for gradient in generator.normal(size=(8, *shape)):
        weights, state = rule.update(weights, gradient, state, 4, RATE, np)
        g = gradient.reshape(velocity.shape)
        velocity = velocity + (1 - MOMENTUM) * (g - velocity)
        ahead = g + MOMENTUM * (velocity - g) if nesterov else velocity
        direction = by_singular_values(ahead)
        if name == "normuon":
            size = np.linalg.norm(direction)
            for number, row in enumerate(direction):
                means[number] += 0.05 * (float(np.mean(row**2)) - means[number])
                direction[number] = row / (means[number] ** 0.5 + 1e-10)
            direction *= size / np.linalg.norm(direction)
        step = 0.2 * max(velocity.shape) ** 0.5 * direction
        expected = (1 - RATE * DECAY) * expected - RATE * step
    np.testing.assert_allclose(weights.reshape(expected.shape), expected, rtol=1e-8, atol=1e-10)
