"""Muon and NorMuon against singular values: Newton-Schulz steps are a polynomial of them."""

from __future__ import annotations

import numpy as np
import pytest
from weft.backend.errors import UserError
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


def test_the_step_has_the_size_of_adamw() -> None:
    """0.2 to 0.4 times the rate, root mean square, as AdamW's is found to have in training."""
    gradient = np.random.default_rng(0).normal(size=(64, 256))
    rule = build_rule("muon", momentum=0.0)
    new, _ = rule.update(0 * gradient, gradient, rule.init(gradient, np), 0, 1.0, np)
    assert 0.1 < np.sqrt(np.mean(new**2)) < 0.3


@pytest.mark.parametrize("name", ["muon", "normuon", "rotated_adamw"])
def test_what_is_no_matrix_is_stepped_as_adamw_does(name: str) -> None:
    rule, plain = (build_rule(n, weight_decay=DECAY) for n in (name, "adamw"))
    generator = np.random.default_rng(0)
    for shape, by_element in (((7,), False), ((7, 1), False), ((), False), ((4, 3), True)):
        start = generator.normal(size=shape)
        pairs = [(start, rule.init(start, np, by_element)), (start, plain.init(start, np))]
        for gradient in generator.normal(size=(5, *shape)):
            pairs = [
                own.update(weights, gradient, state, 3, RATE, np)
                for own, (weights, state) in zip((rule, plain), pairs, strict=True)
            ]
        np.testing.assert_array_equal(pairs[0][0], pairs[1][0])


@pytest.mark.parametrize("name", ["muon", "normuon", "rotated_adamw"])
def test_what_a_mask_prunes_stays_zero_and_what_does_not_apply_changes_nothing(name: str) -> None:
    rule, generator = build_rule(name), np.random.default_rng(0)
    mask = generator.random((5, 6)) < 0.5
    weights = mask * generator.normal(size=(5, 6))
    state = rule.init(weights, np)
    for gradient in mask * generator.normal(size=(4, 5, 6)):
        weights, state = rule.update(weights, gradient, state, 0, RATE, np, np.True_, mask)
        assert not weights[~mask].any()
        assert weights[mask].all()
    new, after = rule.update(weights, weights, state, 0, RATE, np, np.False_, mask)
    np.testing.assert_array_equal(new, weights)
    assert all(np.array_equal(after[key], state[key]) for key in state)


def test_compensations_that_are_not_defined_are_refused() -> None:
    with pytest.raises(UserError, match="one of none, stash"):
        build_rule("muon", compensation="lwp")
