"""Update rules: their identities, torch's optimizers at delay 0, schedules and scaling."""

from __future__ import annotations

import math
from types import ModuleType
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
import torch
from weft.backend.errors import UnknownNameError, UserError
from weft.optim import (
    Constant,
    Cosine,
    LinearWarmup,
    MultiStep,
    UpdateRule,
    build_rule,
    compensations,
    scale_to_batch_size,
)

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


@pytest.fixture
def gradients() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(12, 3))


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


def test_adamw_is_torch_adamw(gradients: np.ndarray) -> None:
    rule = build_rule("adamw", weight_decay=0.1)
    weights = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64, requires_grad=True)
    reference = torch.optim.AdamW([weights], lr=LR, weight_decay=0.1)
    for gradient, ours in zip(gradients, run(rule, gradients, 0), strict=True):
        weights.grad = torch.from_numpy(gradient)
        reference.step()
        np.testing.assert_allclose(ours, weights.detach().numpy(), rtol=1e-12)


@pytest.mark.parametrize("name", [c for c in compensations() if c != "ab"])
def test_without_delay_every_compensation_is_plain(gradients: np.ndarray, name: str) -> None:
    plain = run(build_rule("sgdm", momentum=MOMENTUM), gradients, 0)
    rule = build_rule("sgdm", momentum=MOMENTUM, compensation=name)
    np.testing.assert_allclose(run(rule, gradients, 0), plain, rtol=1e-13)
    weights = np.ones(3)
    assert rule.predict(weights, rule.init(weights, np), 0, LR, np) is weights


def test_spike_compensation_of_delay_one_is_nesterov(gradients: np.ndarray) -> None:
    spike = build_rule("sgdm", momentum=MOMENTUM, compensation="sc")
    nesterov = build_rule("sgdm", momentum=MOMENTUM, nesterov=True)
    np.testing.assert_allclose(run(spike, gradients, 1), run(nesterov, gradients, 7), rtol=1e-12)


def test_spike_compensation_of_huge_delay_is_plain_sgd(gradients: np.ndarray) -> None:
    spike = build_rule("sgdm", momentum=MOMENTUM, compensation="sc")
    plain = build_rule("sgdm", momentum=0.0)
    expected = run(plain, gradients, 0, lr=LR / (1 - MOMENTUM))
    np.testing.assert_allclose(run(spike, gradients, 400), expected, rtol=1e-12)


@pytest.mark.parametrize(("name", "effective"), [("sc", 4), ("sc2d", 8)])
def test_spike_compensation_makes_up_for_the_missed_steps(name: str, effective: int) -> None:
    """From arrival on, one gradient has contributed what undelayed SGDM would have."""
    impulse = np.zeros((10, 3))
    impulse[0] = 1.0
    spiked = run(build_rule("sgdm", momentum=MOMENTUM, compensation=name), impulse, 4)
    longer = np.zeros((10 + effective, 3))
    longer[0] = 1.0
    plain = run(build_rule("sgdm", momentum=MOMENTUM), longer, 0)
    np.testing.assert_allclose(spiked, plain[effective:], rtol=1e-12)


def test_both_forms_of_prediction_agree_for_plain_sgdm_and_differ_with_spikes(
    gradients: np.ndarray,
) -> None:
    def prediction(name: str) -> np.ndarray:
        rule = build_rule("sgdm", momentum=MOMENTUM, compensation=name)
        weights: Any = np.array([1.0, -2.0, 0.5])
        state = rule.init(weights, np)
        for gradient in gradients:
            weights, state = rule.update(weights, gradient, state, 6, LR, np)
        return rule.predict(weights, state, 6, LR, np)

    np.testing.assert_allclose(prediction("lwp"), prediction("lwp_w"), rtol=1e-12)
    np.testing.assert_allclose(prediction("lwp2d"), prediction("lwp_w2d"), rtol=1e-12)
    assert np.abs(prediction("sc+lwp") - prediction("sc+lwp_w")).max() > 1e-2


@pytest.mark.parametrize("name", ["lwp", "lwp2d", "lwp_w", "lwp_w2d"])
def test_prediction_is_exact_while_the_velocity_does_not_change(name: str) -> None:
    """With m = 0 and one gradient for ever, the weights in T updates are known."""
    rule = build_rule("sgdm", momentum=0.0, compensation=name)
    weights: Any = np.array([1.0])
    state = rule.init(weights, np)
    gradient, horizon = np.array([0.3]), 10 if name.endswith("2d") else 5
    weights, state = rule.update(weights, gradient, state, 5, LR, np)
    predicted = rule.predict(weights, state, 5, LR, np)
    for _ in range(horizon):
        weights, state = rule.update(weights, gradient, state, 5, LR, np)
    np.testing.assert_allclose(predicted, weights, rtol=1e-12)


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


def test_adaptive_braking_scales_by_the_cosine() -> None:
    rule = build_rule("sgdm", momentum=0.5, compensation="ab", braking_rho=2.0)
    weights = np.zeros(2)
    for gradient, factor in (([3.0, 4.0], -1), ([-3.0, -4.0], 3), ([4.0, -3.0], 1), ([0, 0], 1)):
        state = {"velocity": np.array([6.0, 8.0])}
        _, new = rule.update(weights, np.array(gradient), state, 9, LR, np)
        np.testing.assert_allclose(new["velocity"], [3.0, 4.0] + factor * np.array(gradient))
    first = rule.update(weights, np.array([3.0, 4.0]), rule.init(weights, np), 9, LR, np)
    np.testing.assert_allclose(first[0], -LR * np.array([3.0, 4.0]))


def test_only_stashing_asks_for_the_forward_weights() -> None:
    assert [c for c in compensations() if build_rule("sgdm", compensation=c).stash] == ["stash"]


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


@pytest.mark.parametrize(
    ("source", "target", "lr", "momentum"),
    [
        ((0.1, 0.9, 128), 1, 6.428e-6, 0.9991772),
        ((0.1, 0.9, 256), 1, 1.607e-6, 0.9995885),
        ((0.1, 0.9, 256), 32, 0.0016354, 0.98691628),
    ],
)
def test_published_scaling_of_hyper_parameters(
    source: tuple[float, float, int], target: int, lr: float, momentum: float
) -> None:
    scaled = scale_to_batch_size(*source, target)
    assert scaled[0] == pytest.approx(lr, rel=3e-4)
    assert scaled[1] == pytest.approx(momentum, abs=5e-8)
    assert scale_to_batch_size(*scaled, target, source[2]) == pytest.approx(source[:2])


def test_schedules() -> None:
    assert Constant(0.1)(10**6) == 0.1
    steps = MultiStep(1.0, (10, 20), 0.5)
    assert [steps(update) for update in (0, 9, 10, 19, 20, 99)] == [1, 1, 0.5, 0.5, 0.25, 0.25]
    cosine = Cosine(1.0, 100, 0.1)
    assert [cosine(update) for update in (0, 50, 100, 500)] == pytest.approx([1, 0.55, 0.1, 0.1])
    warm = LinearWarmup(4, cosine)
    assert [warm(u) for u in range(4)] == pytest.approx([cosine(4) * k / 4 for k in (1, 2, 3, 4)])
    assert warm(50) == cosine(50)
    assert math.isclose(warm(3), warm(4))


@pytest.mark.parametrize(
    "options",
    [
        {"momentum": 1.0},
        {"weight_decay": -1.0},
        {"nesterov": True, "compensation": "sc+lwp"},
        {"name": "adamw", "compensation": "sc"},
        {"name": "adamw", "betas": (0.9, 1.0)},
    ],
    ids=str,
)
def test_options_without_a_meaning_are_user_errors(options: dict[str, Any]) -> None:
    with pytest.raises(UserError):
        build_rule(**{"name": "sgdm", **options})


def test_unknown_names_are_user_errors() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'sgdm'"):
        build_rule("sgd")
    with pytest.raises(UnknownNameError, match=r"sc\+lwp"):
        build_rule("sgdm", compensation="sc-lwp")
    with pytest.raises(UserError, match="to_batch=0"):
        scale_to_batch_size(0.1, 0.9, 128, 0)


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
