"""Update rules: their identities, torch's optimizers at delay 0, schedules and scaling."""

from __future__ import annotations

import math
from types import ModuleType
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
import torch
from helpers.update_rules import LR, MOMENTUM, run
from weft.backend.optim import StageRates, UpdateRule
from weft.optim import build_rule, compensations


@pytest.mark.parametrize("decay", [0.0, 0.01])
@pytest.mark.parametrize("nesterov", [False, True])
def test_sgdm_is_torch_sgd(gradients: np.ndarray, decay: float, nesterov: bool) -> None:
    rule = build_rule("sgdm", momentum=MOMENTUM, weight_decay=decay, nesterov=nesterov)
    weights = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64, requires_grad=True)
    reference = torch.optim.SGD(
        [weights], lr=LR, momentum=MOMENTUM, weight_decay=decay, nesterov=nesterov
    )
    for gradient, ours in zip(gradients, run(rule, gradients, 0), strict=True):
        weights.grad = torch.from_numpy(gradient)
        reference.step()
        np.testing.assert_allclose(ours, weights.detach().numpy(), rtol=1e-12)


RULES = [("sgdm", name) for name in compensations()] + [
    ("adamw", name) for name in ("none", "stash", "lwp")
]


@pytest.mark.parametrize(("name", "compensation"), RULES)
def test_torch_and_jax_compute_the_same(name: str, compensation: str) -> None:
    rule = build_rule(name, compensation=compensation, weight_decay=0.01)
    results = []
    for xp, array, lr in (
        (np, lambda v: np.array(v, np.float32), LR),
        (torch, torch.tensor, torch.tensor(LR)),
        (jnp, jnp.array, jnp.array(LR)),
    ):
        weights: Any = array([1.0, 2.0, -1.0])
        state = rule.init(weights, xp)
        for _ in range(6):
            predicted = rule.predict(weights, state, 3, lr, xp)
            weights, state = rule.update(weights, predicted * 2, state, 3, lr, xp)
        assert str(weights.dtype).endswith("float32")
        results.append(np.stack([np.asarray(weights), np.asarray(predicted)]))
    np.testing.assert_allclose(results[1], results[0], rtol=2e-5)
    np.testing.assert_allclose(results[2], results[0], rtol=2e-5)


@pytest.mark.parametrize(("name", "compensation"), RULES)
def test_a_masked_gradient_keeps_a_pruned_weight_at_zero(name: str, compensation: str) -> None:
    rule = build_rule(name, compensation=compensation, weight_decay=0.1)
    weights: Any = np.array([1.0, 0.0])
    state = rule.init(weights, np)
    for _ in range(5):
        assert rule.predict(weights, state, 4, LR, np)[1] == 0
        weights, state = rule.update(weights, np.array([0.5, 0.0]), state, 4, LR, np)
        assert weights[1] == 0


@pytest.mark.parametrize("xp", [np, torch, jnp], ids=["numpy", "torch", "jax"])
@pytest.mark.parametrize("rule", ["sgdm", "sgdm lwp_w", "adamw"])
def test_an_update_that_does_not_apply_changes_nothing(rule: str, xp: ModuleType) -> None:
    """Not even with a gradient that is not a number; one that applies is the plain update."""
    name, _, compensation = rule.partition(" ")
    built = build_rule(name, compensation=compensation or "none")
    weights: Any = xp.asarray(np.array([1.0, -2.0, 0.5]))
    gradient: Any = xp.asarray(np.array([0.3, 0.1, -0.2]))
    weights, state = built.update(weights, gradient, built.init(weights, xp), 3, LR, xp)
    bad = gradient * math.nan
    same, kept = built.update(weights, bad, state, 3, LR, xp, xp.asarray(False))
    plain, moved = built.update(weights, gradient, state, 3, LR, xp)
    there, chosen = built.update(weights, gradient, state, 3, LR, xp, xp.asarray(True))
    pairs = [(same, weights), (there, plain)]
    pairs += [(kept[key], state[key]) for key in state]
    pairs += [(chosen[key], moved[key]) for key in state]
    for got, expected in pairs:
        np.testing.assert_array_equal(np.asarray(got), np.asarray(expected))
        assert got.dtype == expected.dtype


@pytest.mark.parametrize("anneal", [False, True])
@pytest.mark.parametrize(("name", "compensation"), RULES)
def test_a_lookahead_is_what_a_prediction_adds(
    name: str, compensation: str, anneal: bool, gradients: np.ndarray
) -> None:
    rule: UpdateRule = build_rule(name, compensation=compensation)
    rule = StageRates(rule, 2.0, 4 if anneal else None)
    weights: Any = np.array([1.0, -2.0, 0.5])
    state, delay = rule.init(weights, np), 3
    for gradient in gradients:
        weights, state = rule.update(weights, gradient, state, delay, LR, np)
    ahead = rule.lookahead(state, delay, LR)
    predicted = rule.predict(weights, state, delay, LR, np)
    is_split = "lwp" in compensation and name == "sgdm" and not anneal
    assert (ahead is not None) == is_split
    if ahead is not None:
        np.testing.assert_allclose(weights + ahead.factor * ahead.direction, predicted, rtol=1e-14)
        assert np.abs(predicted - weights).min() > 0
    if is_split or anneal or name == "adamw":
        return
    np.testing.assert_array_equal(predicted, weights)
