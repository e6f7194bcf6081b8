"""ATen operators that sort, accumulate at an index, or look through a sliding window."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from .indexing import Lowering, extent, place, scattered
from .windows import im2col

Array = Any


def _sort(x: Array, dim: int = -1, descending: bool = False, **_: Any) -> tuple[Array, Array]:
    """Always stable: torch leaves the order of equal values open otherwise."""
    order = jnp.argsort(x, axis=dim, descending=descending, stable=True)
    return jnp.take_along_axis(x, order, axis=dim), order


def _topk(
    x: Array, k: int, dim: int = -1, largest: bool = True, sorted: bool = True
) -> tuple[Array, Array]:
    values, order = _sort(x, dim, descending=largest)
    return values.take(jnp.arange(k), axis=dim), order.take(jnp.arange(k), axis=dim)


def _running(reduce: Callable[..., Array]) -> Lowering:
    """Largest or smallest value so far, and the last place of it."""

    def lowered(x: Array, dim: int) -> tuple[Array, Array]:
        axis = dim % max(x.ndim, 1)
        if not x.ndim:
            return x, jnp.zeros((), jnp.int64)
        values = reduce(x, axis=axis)
        numbers = jax.lax.broadcasted_iota(jnp.int32, x.shape, axis)
        return values, jax.lax.cummax(jnp.where(x == values, numbers, -1), axis=axis)

    return lowered


def of_lines(function: Lowering) -> Lowering:
    """The function of an array and a dimension, for scalars too, which ATen gives one dimension."""

    def lowered(x: Array, dim: int, *args: Any, **named: Any) -> Array:
        if x.ndim:
            return function(x, dim, *args, **named)
        found = function(x[None], 0, *args, **named)
        return found[0] if found.shape == (1,) else found

    return lowered


def _index_add(x: Array, dim: int, index: Array, source: Array, *, alpha: float = 1) -> Array:
    return x.at[place(x, dim, index)].add(alpha * source)


def _index_copy(x: Array, dim: int, index: Array, source: Array) -> Array:
    return x.at[place(x, dim, index)].set(source)


_REDUCTIONS = {"sum": "add", "mean": "add", "prod": "multiply", "amax": "max", "amin": "min"}


def _scatter_reduce(
    x: Array, dim: int, index: Array, source: Array, reduce: str, *, include_self: bool = True
) -> Array:
    """Elements of x that nothing is scattered to stay, with and without `include_self`."""
    count = scattered(jnp.zeros(x.shape, jnp.int32), dim, index).add(1)
    start = x if include_self else jnp.where(count > 0, _neutral(reduce, x.dtype), x)
    found = getattr(scattered(start, dim, index), _REDUCTIONS[reduce])(source[extent(index)])
    if reduce != "mean":
        return found
    return found / jnp.maximum(count + include_self, 1).astype(x.dtype)


def _neutral(reduce: str, dtype: Any) -> Array:
    """What changes no result of a reduction."""
    if reduce in ("sum", "mean"):
        return jnp.zeros((), dtype)
    if reduce == "prod":
        return jnp.ones((), dtype)
    low, high = (-jnp.inf, jnp.inf)
    if jnp.issubdtype(dtype, jnp.integer):
        low, high = jnp.iinfo(dtype).min, jnp.iinfo(dtype).max
    return jnp.asarray(low if reduce == "amax" else high, dtype)


def _unfold(x: Array, dim: int, size: int, step: int) -> Array:
    """Windows of `dim` take its place; what is in a window comes last."""
    if not x.ndim:
        return x.reshape(1)
    dim %= x.ndim
    windows = (x.shape[dim] - size) // step + 1
    index = jnp.arange(windows)[:, None] * step + jnp.arange(size)
    return jnp.moveaxis(jnp.take(x, index, axis=dim), dim + 1, -1)


def _unfold_backward(grad: Array, sizes: Sequence[int], dim: int, size: int, step: int) -> Array:
    return _transpose(lambda x: _unfold(x, dim, size, step), tuple(sizes), grad)


def _col2im(
    x: Array,
    output: Sequence[int],
    kernel: Sequence[int],
    dilation: Sequence[int],
    padding: Sequence[int],
    stride: Sequence[int],
) -> Array:
    *batch, rows, _ = x.shape
    shape = (*batch, rows // (kernel[0] * kernel[1]), *output)
    return _transpose(lambda image: im2col(image, kernel, dilation, padding, stride), shape, x)


def _transpose(linear: Callable[[Array], Array], shape: tuple[int, ...], grad: Array) -> Array:
    """The transpose of a linear function of an array of `shape`, applied to `grad`."""
    (found,) = jax.linear_transpose(linear, jax.ShapeDtypeStruct(shape, grad.dtype))(grad)
    return found


def _weight_norm(v: Array, g: Array, dim: int = 0) -> tuple[Array, Array]:
    """g v / |v|, with the norm over all dimensions but `dim`; and that norm."""
    others = tuple(axis for axis in range(v.ndim) if axis != dim % v.ndim)
    norm = jnp.sqrt(jnp.sum(v * v, axis=others, keepdims=True))
    return v * (g / norm), norm


def _weight_norm_backward(
    grad: Array, v: Array, g: Array, norms: Array, dim: int
) -> tuple[Array, Array]:
    _, transpose = jax.vjp(lambda v, g: _weight_norm(v, g, dim)[0], v, g)
    return transpose(grad)


TABLE: dict[str, Lowering] = {
    "aten.sort.default": _sort,
    "aten.sort.stable": _sort,
    "aten.topk.default": _topk,
    "aten.cummax.default": _running(jax.lax.cummax),
    "aten.cummin.default": _running(jax.lax.cummin),
    "aten.logcumsumexp.default": lambda x, dim: (
        jax.lax.cumlogsumexp(x, axis=dim % x.ndim) if x.ndim else x
    ),
    "aten.cumprod.default": lambda x, dim, **_: jnp.cumprod(x, axis=dim),
    "aten.index_add.default": of_lines(_index_add),
    "aten.index_copy.default": of_lines(_index_copy),
    "aten.scatter_reduce.two": _scatter_reduce,
    "aten.unfold.default": _unfold,
    "aten.unfold_backward.default": _unfold_backward,
    "aten.col2im.default": _col2im,
    "aten._weight_norm_interface.default": _weight_norm,
    "aten._weight_norm_interface_backward.default": _weight_norm_backward,
}
