"""Delayed SGDM on a convex quadratic: half-lives measured beside those of the roots.

The spectrum is [l, kappa*l]; learning rate and momentum are the best of a grid by the roots of the
characteristic polynomial. The measured half-life is that of the real update rule at that setting.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...backend.optim import build_rule
from ...backend.optim.compensation import compensation
from ...backend.optim.quadratic import convergence_rate, half_life
from ...backend.optim.rule import PER_WEIGHT

METHODS = ("none", "sc", "lwp", "lwp_w", "sc+lwp", "sc+lwp_w")
CONDITIONS = (10, 1000)
DELAYS = (0, 1, 4, 16)

Floats = NDArray[np.float64]

_PER_DECADE = 60
_CURVATURES = np.logspace(-9, 1, 10 * _PER_DECADE + 1)
_MOMENTA = (0.0, *(1 - np.logspace(-0.05, -3.5, 60)))
_SIMULATED_CURVATURES = 7
_HALF_LIVES = (15, 45)
_SHORTEST = (60, 300)


@dataclass(frozen=True)
class QuadraticRow:
    """One method at its best setting. Half-lives are in updates; `rate` is lr times lambda_max."""

    condition: int
    delay: int
    method: str
    rate: float
    momentum: float
    by_roots: float
    measured: float


def quadratic_rows(
    conditions: Iterable[int] = CONDITIONS,
    delays: Iterable[int] = DELAYS,
    methods: Iterable[str] = METHODS,
) -> Iterator[QuadraticRow]:
    """A row for each condition, method and delay."""
    conditions, delays, methods = list(conditions), list(delays), list(methods)
    for method in methods:
        for delay in delays:
            rates = np.stack(
                [convergence_rate(_CURVATURES, m, delay, compensation(method)) for m in _MOMENTA]
            )
            for condition in conditions:
                yield _row(condition, delay, method, rates)


def _row(condition: int, delay: int, method: str, rates: Floats) -> QuadraticRow:
    """`rates` (momenta, curvatures): growth per update by the roots."""
    span = round(math.log10(condition) * _PER_DECADE) + 1
    worst = np.lib.stride_tricks.sliding_window_view(rates, span, axis=1).max(-1)
    best_momentum, first = np.unravel_index(worst.argmin(), worst.shape)
    momentum = float(_MOMENTA[best_momentum])
    spectrum = np.geomspace(
        _CURVATURES[first], _CURVATURES[first + span - 1], _SIMULATED_CURVATURES
    )
    roots = convergence_rate(spectrum, momentum, delay, compensation(method))
    by_roots = half_life(float(roots.max()))
    measured = measured_half_life(method, momentum, delay, spectrum, by_roots)
    return QuadraticRow(condition, delay, method, float(spectrum[-1]), momentum, by_roots, measured)


def measured_half_life(
    method: str, momentum: float, delay: int, curvatures: Floats, expected: float
) -> float:
    """Half-life in updates of the slowest of many quadratics, each with its own lr*lambda.

    The rule runs from a random start; the slope of log error is fitted between 15 and 45 of the
    `expected` half-lives (updates 60 and 300 at least), when the largest root rules.
    """
    first, last = (
        max(round(count * expected), least)
        for count, least in zip(_HALF_LIVES, _SHORTEST, strict=True)
    )
    logs = _log_errors(method, momentum, delay, curvatures, last)[first:]
    logs = logs[:, np.isfinite(logs).all(0)]  # the others have vanished
    slopes = np.polyfit(np.arange(len(logs)), logs, 1)[0]
    return half_life(float(np.exp(slopes.max())))


def _log_errors(
    method: str, momentum: float, delay: int, curvatures: Floats, updates: int
) -> Floats:
    """log of the error's size after each update, (updates, curvatures); -inf once it vanished.

    The size is the norm of the weight and its optimizer state, which oscillates less than either.
    """
    rule = build_rule("sgdm", momentum=momentum, compensation=method)
    weights = np.random.default_rng(0).normal(size=curvatures.shape)
    state = rule.init(weights, np)
    used: deque[Floats] = deque([weights] * delay)
    squares = np.empty((updates, len(curvatures)))
    for update in range(updates):
        used.append(rule.predict(weights, state, delay, 1.0, np))
        weights, state = rule.update(weights, curvatures * used.popleft(), state, delay, 1.0, np)
        own = (value for name, value in state.items() if name in PER_WEIGHT)
        squares[update] = weights**2 + sum(value**2 for value in own)
    with np.errstate(divide="ignore"):
        return 0.5 * np.log(squares)
