"""ATen matrix products and convolutions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp

from .accumulate import in_order, wide_matmul
from .convolution import convolution, convolution_backward
from .transposed_products import MaybeTransposed, product

Array = Any
Lowering = Callable[..., Any]


def _bmm(a: Array, b: Array) -> Array:
    return wide_matmul(in_order(a), b)


def _addmm(
    bias: Array, a: MaybeTransposed, b: MaybeTransposed, *, beta: float = 1, alpha: float = 1
) -> Array:
    return _sum(bias, product(a, b), beta, alpha)


def _baddbmm(bias: Array, a: Array, b: Array, *, beta: float = 1, alpha: float = 1) -> Array:
    return _sum(bias, wide_matmul(a, b), beta, alpha)


def _sum(bias: Array, products: Array, beta: float, alpha: float) -> Array:
    products = products if alpha == 1 else alpha * products
    return products + (bias if beta == 1 else beta * bias)


def _routed(x: Array, weight: Array, expert: Array, _top_k: int, _capacity: int) -> Array:
    """Every row of x times the (in, out) of its expert: one product with all of them."""
    experts, into, out = weight.shape
    return wide_matmul(_apart(x, expert, experts), weight.reshape(experts * into, out))


def _routed_weight(
    x: Array, gradient: Array, expert: Array, experts: int, _top_k: int, _capacity: int
) -> Array:
    sums = wide_matmul(_apart(x, expert, experts).T, gradient)
    return sums.reshape(experts, x.shape[1], gradient.shape[1])


def _apart(x: Array, expert: Array, experts: int) -> Array:
    """(rows, experts * in): a row's values where its expert's are, and 0."""
    is_own = expert[:, None] == jnp.arange(experts, dtype=expert.dtype)
    return jnp.where(is_own[:, :, None], x[:, None, :], 0).reshape(x.shape[0], -1)


TABLE: dict[str, Lowering] = {
    "aten.mm.default": product,
    "aten.bmm.default": _bmm,
    "aten.addmm.default": _addmm,
    "aten.baddbmm.default": _baddbmm,
    "aten.convolution.default": convolution,
    "aten.convolution_backward.default": convolution_backward,
    "weft.routed_mm.default": _routed,
    "weft.routed_mm_weight.default": _routed_weight,
}
