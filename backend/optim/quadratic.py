"""Delayed SGDM on a quadratic: exact convergence rates from characteristic polynomials.

The loss is lambda*w^2/2, the gradient `delay` updates old. The error shrinks in the long run by
the largest |root| of the polynomial per update; for a spectrum the slowest lambda counts.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .compensation import Compensation

Floats = NDArray[np.float64]


def characteristic_polynomial(
    curvature: float | Floats, momentum: float, delay: int, compensation: Compensation
) -> Floats:
    """Coefficients, highest power first, shape (*curvature.shape, degree + 1).

    `curvature` is lr*lambda. With T the prediction horizon and (a, b) of spike compensation:
    weight form: z^(D+3) - (1+m)z^(D+2) + m z^(D+1)
                 + lr*lambda*[(a+b)((1+T)z^2 - T z) - m b((1+T)z - T)];
    velocity form: (z-1)[z^D(z-m) + lr*lambda*T] + lr*lambda*(a z + b(z-m)).
    """
    a, b = compensation.spike_coefficients(momentum, delay)
    horizon = compensation.horizon * delay
    if compensation.form == "weight":
        inertia = _shifted([1, -(1 + momentum), momentum], delay + 1)
        force = [
            (a + b) * (1 + horizon),
            -(a + b) * horizon - momentum * b * (1 + horizon),
            momentum * b * horizon,
        ]
    else:
        inertia = _shifted([1, -(1 + momentum), momentum], delay)
        force = [horizon + a + b, -horizon - momentum * b]
    padded = np.zeros_like(inertia)
    padded[-len(force) :] = force
    return inertia + np.asarray(curvature)[..., None] * padded


def _shifted(coefficients: Sequence[float], power: int) -> Floats:
    return np.array([*coefficients, *[0.0] * power])


def convergence_rate(
    curvature: float | Floats, momentum: float, delay: int, compensation: Compensation
) -> Floats:
    """Largest |root|, per update, for each lr*lambda; above 1 the iteration diverges."""
    polynomial = characteristic_polynomial(curvature, momentum, delay, compensation)
    degree = polynomial.shape[-1] - 1
    companion = np.zeros((*polynomial.shape[:-1], degree, degree))
    companion[..., 0, :] = -polynomial[..., 1:]
    companion[..., np.arange(1, degree), np.arange(degree - 1)] = 1.0
    return np.abs(np.linalg.eigvals(companion)).max(-1)


def half_life(rate: float) -> float:
    """Updates until the error has halved; infinite for a rate of 1 and above."""
    return math.log(2) / -math.log(rate) if rate < 1 else math.inf


def best_half_life(
    condition: float,
    delay: int,
    compensation: Compensation,
    momenta: Sequence[float],
    points_per_decade: int = 60,
) -> float:
    """Shortest half-life over the learning rate and `momenta`, on a spectrum of `condition`.

    The worst lambda of [l_min, condition*l_min] counts; lr*lambda runs over a logarithmic grid.
    """
    curvatures = np.logspace(-9, 1, 10 * points_per_decade + 1)
    span = round(math.log10(condition) * points_per_decade) + 1
    best = math.inf
    for momentum in momenta:
        rates = convergence_rate(curvatures, momentum, delay, compensation)
        worst = np.lib.stride_tricks.sliding_window_view(rates, span).max(-1)
        best = min(best, half_life(float(worst.min())))
    return best
