"""ATen's special functions as those of jax.scipy."""

from __future__ import annotations

from collections.abc import Callable
from math import factorial
from typing import Any

import jax.numpy as jnp
from jax import lax
from jax.scipy import special

Array = Any
Lowering = Callable[..., Any]


_STEPS = 10_000


def _polygamma(n: int, x: Array) -> Array:
    """(-1)^(n+1) n! times the sum over k of 1 / (x + k)^(n+1), whose terms below 1 are added one by
    one: jax's sum is exact for positive numbers alone."""
    if n == 0:
        return special.digamma(x)

    def goes_on(state: tuple[Array, Array, Array]) -> Array:
        return (state[2] < _STEPS) & jnp.any(state[0] < 1)

    def add(state: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        at, total, count = state
        total = total + jnp.where(at < 1, at ** -(n + 1.0), 0)
        return jnp.where(at < 1, at + 1, at), total, count + 1

    at, total, _ = lax.while_loop(goes_on, add, (x, jnp.zeros_like(x), 0))
    return special.polygamma(jnp.full(x.shape, n), at) - (-1) ** n * factorial(n) * total


def _digamma(x: Array) -> Array:
    """Infinite at 0, where jax's is not a number."""
    return jnp.where(x == 0, -jnp.copysign(jnp.inf, x), special.digamma(x))


TABLE: dict[str, Lowering] = {
    "aten.digamma.default": _digamma,
    "aten.erfc.default": special.erfc,
    "aten.erfinv.default": special.erfinv,
    "aten.exp2.default": jnp.exp2,
    "aten.fmax.default": jnp.fmax,
    "aten.fmin.default": jnp.fmin,
    "aten.hypot.default": jnp.hypot,
    "aten.i0.default": special.i0,
    "aten.lgamma.default": special.gammaln,
    "aten.polygamma.default": _polygamma,
    "aten.signbit.default": jnp.signbit,
    "aten.special_i0e.default": special.i0e,
    "aten.special_i1.default": special.i1,
    "aten.special_i1e.default": special.i1e,
    "aten.special_ndtri.default": special.ndtri,
}
