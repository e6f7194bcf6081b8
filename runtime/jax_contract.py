"""ATen matrix products, convolutions and pooling."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from .jax_convolution import convolution, convolution_backward

Array = Any
Lowering = Callable[..., Any]


def _addmm(bias: Array, a: Array, b: Array, *, beta: float = 1, alpha: float = 1) -> Array:
    product = a @ b if alpha == 1 else alpha * (a @ b)
    return product + (bias if beta == 1 else beta * bias)


def _average_pool(
    x: Array,
    kernel: Sequence[int],
    stride: Sequence[int] = (),
    padding: Sequence[int] = (0, 0),
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor: int | None = None,
) -> Array:
    if ceil_mode or divisor is not None or (any(padding) and not count_include_pad):
        raise NotImplementedError("ceil_mode, divisor_override or padding that is not counted")
    window, strides = (1, 1, *kernel), (1, 1, *(stride or kernel))
    pads = [(0, 0), (0, 0), *((p, p) for p in padding)]
    zero = np.zeros((), x.dtype)  # a constant, by which jax knows the window's sum
    total = lax.reduce_window(x, zero, lax.add, window, strides, pads)
    return total / math.prod(kernel)


def _average_pool_backward(grad: Array, x: Array, *options: Any) -> Array:
    _, transpose = jax.vjp(lambda value: _average_pool(value, *options), x)
    return transpose(grad)[0]


TABLE: dict[str, Lowering] = {
    "aten.mm.default": jnp.matmul,
    "aten.bmm.default": jnp.matmul,
    "aten.addmm.default": _addmm,
    "aten.baddbmm.default": _addmm,
    "aten.convolution.default": convolution,
    "aten.convolution_backward.default": convolution_backward,
    "aten.avg_pool2d.default": _average_pool,
    "aten.avg_pool2d_backward.default": _average_pool_backward,
}
