"""Delay compensations by name (Kosson et al."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from helpers.update_rules import LR, MOMENTUM, run
from weft.optim import build_rule, compensations


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
