"""Rates on a quadratic: simulation of the real rules, and the table of best half-lives."""

from __future__ import annotations

from collections import deque

import numpy as np
import pytest
from weft.backend.optim.compensation import compensation
from weft.backend.optim.quadratic import best_half_life, convergence_rate, half_life
from weft.backend.optim.rule import PER_WEIGHT
from weft.optim import build_rule

METHODS = ["none", "sc", "sc2d", "lwp", "lwp2d", "lwp_w", "lwp_w2d", "sc+lwp", "sc+lwp_w"]


def simulated_rate(name: str, momentum: float, delay: int, curvatures: np.ndarray) -> np.ndarray:
    """Growth per update of the rule on many quadratics at once, gradients `delay` updates old."""
    rule = build_rule("sgdm", momentum=momentum, compensation=name)
    weights = np.random.default_rng(0).normal(size=curvatures.shape)
    state = rule.init(weights, np)
    used: deque[np.ndarray] = deque([weights] * delay)
    logs, growth = [], np.zeros_like(weights)
    for _ in range(3000):
        used.append(rule.predict(weights, state, delay, 1.0, np))
        weights, state = rule.update(weights, curvatures * used.popleft(), state, delay, 1.0, np)
        own = {key: value for key, value in state.items() if key in PER_WEIGHT}
        history = np.stack([weights, *used, *own.values()])
        norm = np.sqrt((history**2).sum(0))
        growth = growth + np.log(norm)
        logs.append(growth)
        weights, used = weights / norm, deque(value / norm for value in used)
        state |= {key: value / norm for key, value in own.items()}
    return np.exp((logs[-1] - logs[1000]) / (len(logs) - 1001))


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize(("momentum", "delay"), [(0.0, 3), (0.7, 1), (0.95, 4)])
def test_simulation_decays_with_the_largest_root(name: str, momentum: float, delay: int) -> None:
    curvatures = np.array([1e-3, 0.01, 0.05, 0.2])
    roots = convergence_rate(curvatures, momentum, delay, compensation(name))
    simulated = simulated_rate(name, momentum, delay, curvatures)
    np.testing.assert_allclose(np.log(simulated), np.log(roots), atol=2e-3)


def update_matrix(name: str, momentum: float, delay: int, curvature: float) -> np.ndarray:
    """One update of the real rule as a matrix on (weight, weights in flight, optimizer state).

    The rule acts on each element of an array by itself and linearly, so an array of basis vectors
    goes through it column by column; at a constant rate, which a rule may keep beside it.
    """
    rule = build_rule("sgdm", momentum=momentum, compensation=name)
    start = rule.init(np.zeros(1), np)
    keys = [key for key in start if key in PER_WEIGHT]
    weights, *rest = np.eye(1 + delay + len(keys))
    others = {key: np.ones(()) for key in start if key not in PER_WEIGHT}
    used, state = rest[:delay], {**others, **dict(zip(keys, rest[delay:], strict=True))}
    used = [*used, rule.predict(weights, state, delay, 1.0, np)]
    weights, state = rule.update(weights, curvature * used[0], state, delay, 1.0, np)
    return np.stack([weights, *used[1:], *(state[key] for key in keys)])


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize(
    ("momentum", "delay"), [(0.0, 3), (0.5, 0), (0.7, 1), (0.95, 4), (0.99, 9)]
)
def test_rate_of_the_rule_is_the_largest_root(name: str, momentum: float, delay: int) -> None:
    for curvature in (1e-3, 0.01, 0.05, 0.2):
        root = convergence_rate(np.array([curvature]), momentum, delay, compensation(name))
        rate = np.abs(np.linalg.eigvals(update_matrix(name, momentum, delay, curvature))).max()
        assert rate == pytest.approx(root[0], abs=1e-4)


DELAYS = (0, 1, 2, 4, 8, 16)
TABLE = {
    (1000, "none"): (12.2, 699, 1140, 2027, 3892, 7473),
    (1000, "sc"): (12.2, 116, 199, 365, 680, 1318),
    (1000, "lwp_w"): (12.2, 110, 188, 334, 632, 1226),
    (1000, "sc+lwp_w"): (12.2, 38.3, 66.0, 113, 223, 437),
    (10, "none"): (1.21, 7.28, 12.0, 21.2, 40.8, 78.3),
    (10, "sc"): (1.21, 5.88, 9.89, 18.0, 33.9, 66.2),
    (10, "lwp_w"): (1.21, 4.81, 8.08, 14.6, 27.0, 53.0),
    (10, "sc+lwp_w"): (1.21, 3.97, 6.19, 11.0, 21.7, 42.9),
}
PLAIN_SGD = {1000: (347, 719, 1140, 2027), 10: (3.54, 7.28, 12.0, 21.2)}
MOMENTA = np.array([0.0, *(1 - np.logspace(-0.05, -3.5, 60))])


def best_over_momenta(condition: int, delay: int, name: str) -> float:
    """Every fourth momentum, then all of them around the best: a miss would show in the table."""

    def best_at(index: int) -> float:
        return best_half_life(condition, delay, compensation(name), [MOMENTA[index]])

    coarse = min(range(0, len(MOMENTA), 4), key=best_at)
    return min(map(best_at, range(max(0, coarse - 3), min(len(MOMENTA), coarse + 4))))


@pytest.mark.parametrize(("condition", "name"), TABLE, ids=str)
@pytest.mark.parametrize("column", range(len(DELAYS)))
def test_best_half_lives_of_the_table(condition: int, name: str, column: int) -> None:
    best = best_over_momenta(condition, DELAYS[column], name)
    assert best == pytest.approx(TABLE[condition, name][column], rel=0.02)


@pytest.mark.parametrize("condition", [1000, 10])
def test_best_half_lives_without_momentum(condition: int) -> None:
    for delay, expected in zip(DELAYS, PLAIN_SGD[condition], strict=False):
        best = best_half_life(condition, delay, compensation("none"), [0.0])
        assert best == pytest.approx(expected, rel=0.02)


def test_half_life() -> None:
    assert half_life(0.5) == pytest.approx(1.0)
    assert half_life(2**-0.1) == pytest.approx(10.0)
    assert half_life(1.0) == float("inf")
