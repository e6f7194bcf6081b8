"""ATen matrix products and convolutions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp

from .jax_convolution import convolution, convolution_backward

Array = Any
Lowering = Callable[..., Any]


def _addmm(bias: Array, a: Array, b: Array, *, beta: float = 1, alpha: float = 1) -> Array:
    product = a @ b if alpha == 1 else alpha * (a @ b)
    return product + (bias if beta == 1 else beta * bias)


TABLE: dict[str, Lowering] = {
    "aten.mm.default": jnp.matmul,
    "aten.bmm.default": jnp.matmul,
    "aten.addmm.default": _addmm,
    "aten.baddbmm.default": _addmm,
    "aten.convolution.default": convolution,
    "aten.convolution_backward.default": convolution_backward,
}
