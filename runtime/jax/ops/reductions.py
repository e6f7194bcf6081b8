"""More of ATen's functions and reductions: those that ordinary models use now and then."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from .elementwise import TABLE as _ELEMENTWISE

Array = Any
Lowering = Callable[..., Any]


def _addcmul(x: Array, a: Array, b: Array, *, value: float = 1) -> Array:
    return x + value * a * b


def _elu(x: Array, alpha: float = 1, scale: float = 1, input_scale: float = 1) -> Array:
    return scale * jnp.where(x > 0, x, alpha * jnp.expm1(jnp.minimum(x, 0) * input_scale))


def _gelu_backward(grad: Array, x: Array, *, approximate: str = "none") -> Array:
    _, transpose = jax.vjp(lambda x: jax.nn.gelu(x, approximate=approximate == "tanh"), x)
    return transpose(grad)[0]


def _leaky_relu(x: Array, slope: float = 0.01) -> Array:
    return jnp.where(x > 0, x, slope * x)


def _var_mean(x: Array, dims: Sequence[int] | None = None, **options: Any) -> tuple[Array, Array]:
    keepdim = options.get("keepdim", False)
    variance = _ELEMENTWISE["aten.var.correction"](x, dims, **options)
    return variance, jnp.mean(x, axis=tuple(dims) if dims else None, keepdims=keepdim)


def _vector_norm(
    x: Array,
    order: float = 2,
    dims: Sequence[int] | None = None,
    keepdim: bool = False,
    **_: Any,
) -> Array:
    axes = tuple(dims) if dims else tuple(range(x.ndim))
    size = jnp.abs(x)
    if math.isinf(order):
        return (jnp.max if order > 0 else jnp.min)(size, axis=axes, keepdims=keepdim)
    if order == 0:
        return jnp.sum(x != 0, axis=axes, keepdims=keepdim)
    if order == 2:
        return jnp.sqrt(jnp.sum(size * size, axis=axes, keepdims=keepdim))
    return jnp.sum(size**order, axis=axes, keepdims=keepdim) ** (1 / order)


def _extreme(value: Callable[..., Array], where: Callable[..., Array]) -> Lowering:
    """`max.dim` and `min.dim`: the values and their indices."""

    def lowered(x: Array, dim: int, keepdim: bool = False) -> tuple[Array, Array]:
        return value(x, axis=dim, keepdims=keepdim), _position(value, where)(x, dim, keepdim)

    return lowered


def _position(value: Callable[..., Array], where: Callable[..., Array]) -> Lowering:
    """The first place of an extreme value."""

    def lowered(x: Array, dim: int | None = None, keepdim: bool = False) -> Array:
        if jnp.issubdtype(x.dtype, jnp.floating):
            return where(x, axis=dim, keepdims=keepdim)
        lines, axis = (x.reshape(-1), 0) if dim is None else (x, dim % x.ndim)
        found = first_of(lines, value(lines, axis=axis, keepdims=True), axis)
        kept = [1 if dim is None or n == axis else size for n, size in enumerate(x.shape)]
        return found.reshape(kept) if keepdim else found

    return lowered


def first_of(x: Array, value: Array, axis: int) -> Array:
    """The first place of a value among whole numbers along an axis, in 32 bits: what jax itself has
    for 64 is compiled later, when it takes them for 32."""
    return jax.lax.argmax(x == value, axis, jnp.int32)


def _any(x: Array, dims: int | Sequence[int] | None = None, keepdim: bool = False) -> Array:
    axes = (dims,) if isinstance(dims, int) else tuple(dims or range(x.ndim))
    return jnp.any(x != 0, axis=axes, keepdims=keepdim)


def _mix(x: Array) -> Array:
    """lowbias32 of each element; uint32, which wraps by itself."""
    x = (x ^ (x >> 16)) * jnp.uint32(0x7FEB352D)
    x = (x ^ (x >> 15)) * jnp.uint32(0x846CA68B)
    return x ^ (x >> 16)


def _uniform(key: Array, size: Sequence[int]) -> tuple[Array, Array]:
    """As weft::uniform, to the bit."""
    place, count = key.astype(jnp.uint32)
    start = _mix(count + _mix(place))
    index = jnp.arange(math.prod(size), dtype=jnp.uint32)
    drawn = (_mix(index + start) >> 8).astype(jnp.float32) / 2**24
    return drawn.reshape(size), key + jnp.asarray([0, 1], key.dtype)


TABLE: dict[str, Lowering] = {
    **{
        f"aten.{name}.default": getattr(jnp, name)
        for name in [
            "sin",
            "cos",
            "tan",
            "sinh",
            "cosh",
            "floor",
            "ceil",
            "round",
            "trunc",
            "log2",
            "log10",
            "log1p",
            "expm1",
        ]
    },
    **{
        f"aten.{short}.default": getattr(jnp, name)
        for short, name in (
            ("asin", "arcsin"),
            ("acos", "arccos"),
            ("atan", "arctan"),
            ("asinh", "arcsinh"),
            ("acosh", "arccosh"),
            ("atanh", "arctanh"),
            ("atan2", "arctan2"),
            ("isnan", "isnan"),
            ("isinf", "isinf"),
            ("logical_xor", "logical_xor"),
        )
    },
    "aten.addcmul.default": _addcmul,
    "aten.elu.default": _elu,
    "aten.leaky_relu.default": _leaky_relu,
    "aten.silu.default": jax.nn.silu,
    "aten.gelu_backward.default": _gelu_backward,
    "aten.sigmoid_backward.default": lambda grad, y: grad * y * (1 - y),
    "aten.tanh_backward.default": lambda grad, y: grad * (1 - y * y),
    "aten.clamp.Tensor": _ELEMENTWISE["aten.clamp.default"],
    "aten.clamp_max.default": jnp.minimum,
    "aten.clamp_min.default": jnp.maximum,
    "aten.div.Scalar_mode": _ELEMENTWISE["aten.div.Tensor_mode"],
    "aten.bitwise_and.Scalar": jnp.bitwise_and,
    "aten.bitwise_or.Scalar": jnp.bitwise_or,
    "aten.bitwise_xor.Scalar": jnp.bitwise_xor,
    "aten.bitwise_xor.Tensor": jnp.bitwise_xor,
    "aten.fmod.Scalar": jnp.fmod,
    "aten.fmod.Tensor": jnp.fmod,
    "aten.remainder.Scalar": jnp.remainder,
    "aten.remainder.Tensor": jnp.remainder,
    "aten.pow.Scalar": lambda base, x: jnp.power(jnp.asarray(base, x.dtype), x),
    "aten.any.default": _any,
    "aten.any.dim": _any,
    "aten.any.dims": _any,
    "aten.max.default": jnp.max,
    "aten.min.default": jnp.min,
    "aten.max.dim": _extreme(jnp.max, jnp.argmax),
    "aten.min.dim": _extreme(jnp.min, jnp.argmin),
    "aten.argmax.default": _position(jnp.max, jnp.argmax),
    "aten.argmin.default": _position(jnp.min, jnp.argmin),
    "aten.cumsum.default": lambda x, dim, **_: jnp.cumsum(x, axis=dim),
    "aten.prod.default": lambda x, **_: jnp.prod(x),
    "aten.prod.dim_int": lambda x, dim, keepdim=False, **_: jnp.prod(x, axis=dim, keepdims=keepdim),
    "aten.var_mean.correction": _var_mean,
    "aten.linalg_vector_norm.default": _vector_norm,
    "weft.uniform.default": _uniform,
}
