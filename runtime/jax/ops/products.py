"""ATen matrix products and convolutions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .accumulate import wide_matmul
from .convolution import convolution, convolution_backward
from .transposed_products import Matrix, product

Array = Any
Lowering = Callable[..., Any]


def _addmm(bias: Array, a: Matrix, b: Matrix, *, beta: float = 1, alpha: float = 1) -> Array:
    return _sum(bias, product(a, b), beta, alpha)


def _baddbmm(bias: Array, a: Array, b: Array, *, beta: float = 1, alpha: float = 1) -> Array:
    return _sum(bias, wide_matmul(a, b), beta, alpha)


def _sum(bias: Array, products: Array, beta: float, alpha: float) -> Array:
    products = products if alpha == 1 else alpha * products
    return products + (bias if beta == 1 else beta * bias)


TABLE: dict[str, Lowering] = {
    "aten.mm.default": product,
    "aten.bmm.default": wide_matmul,
    "aten.addmm.default": _addmm,
    "aten.baddbmm.default": _baddbmm,
    "aten.convolution.default": convolution,
    "aten.convolution_backward.default": convolution_backward,
}
