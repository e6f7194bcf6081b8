"""ATen adaptive average pooling: along each axis a sum over windows, so a product with 0 and 1.

Output o of m along an axis of n inputs averages the inputs [floor(o n / m), ceil((o + 1) n / m)):
windows differ in size by one where m does not divide n, overlap, and repeat where m > n.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any

import jax.numpy as jnp
import numpy as np

Array = Any
Lowering = Callable[..., Any]


def _members(inputs: int, outputs: int) -> np.ndarray:
    """(outputs, inputs): whether an input lies in an output's window."""
    at, of = np.arange(inputs), np.arange(outputs)[:, None]
    return (at >= of * inputs // outputs) & (at < -(-(of + 1) * inputs // outputs))


def _all_members(inputs: Sequence[int], outputs: Sequence[int]) -> list[np.ndarray]:
    return [_members(n, m) for n, m in zip(inputs, outputs, strict=True)]


def _sizes(members: Sequence[np.ndarray], dtype: Any) -> Array:
    """The number of inputs in each output's window, with an axis per axis of `members`."""
    return jnp.asarray(reduce(np.multiply.outer, [axis.sum(1) for axis in members]), dtype)


def _sums(x: Array, matrices: Sequence[np.ndarray]) -> Array:
    """The last axes of `x`, each multiplied by its matrix (after, before)."""
    first = x.ndim - len(matrices)
    for axis, matrix in enumerate(matrices, first):
        product = jnp.tensordot(x, jnp.asarray(matrix, x.dtype), (axis, 1))
        x = jnp.moveaxis(product, -1, axis)
    return x


def _average(x: Array, sizes: Sequence[int]) -> Array:
    members = _all_members(x.shape[x.ndim - len(sizes) :], sizes)
    return _sums(x, members) / _sizes(members, x.dtype)


def _average_backward(rank: int) -> Lowering:
    def lowered(grad: Array, x: Array) -> Array:
        members = _all_members(x.shape[-rank:], grad.shape[-rank:])
        return _sums(grad / _sizes(members, grad.dtype), [axis.T for axis in members])

    return lowered


TABLE: dict[str, Lowering] = {
    "aten._adaptive_avg_pool2d.default": _average,
    "aten._adaptive_avg_pool2d_backward.default": _average_backward(2),
    "aten._adaptive_avg_pool3d.default": _average,
    "aten._adaptive_avg_pool3d_backward.default": _average_backward(3),
}
