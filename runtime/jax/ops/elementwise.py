"""ATen elementwise operators, comparisons and reductions as jax.numpy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

Array = Any
Lowering = Callable[..., Any]


def _scaled(function: Callable[[Array, Array], Array]) -> Lowering:
    """`add` and `sub` scale their second operand by `alpha`."""

    def lowered(a: Array, b: Array, *, alpha: float = 1) -> Array:
        return function(a, b if alpha == 1 else b * alpha)

    return lowered


def _divide(a: Array, b: Array, *, rounding_mode: str | None = None) -> Array:
    if rounding_mode is None:
        return a / b
    if rounding_mode == "floor":
        return jnp.floor_divide(a, b)
    is_whole = jnp.issubdtype(a.dtype, jnp.integer)  # whose quotient as reals may be the next one
    return (a - jnp.fmod(a, b)) // b if is_whole else jnp.trunc(a / b)


def _clamp(x: Array, low: Array | None = None, high: Array | None = None) -> Array:
    x = x if low is None else jnp.maximum(x, low)
    return x if high is None else jnp.minimum(x, high)


def _gelu(x: Array, *, approximate: str = "none") -> Array:
    return jax.nn.gelu(x, approximate=approximate == "tanh")


def _axes(x: Array, dims: int | Sequence[int] | None) -> tuple[int, ...]:
    """Axes to reduce; ATen takes an empty list for all of them, and gives a scalar one axis."""
    if not x.ndim:
        return ()
    dims = (dims,) if isinstance(dims, int) else tuple(dims or ())
    return dims or tuple(range(x.ndim))


def _reduction(function: Callable[..., Array]) -> Lowering:
    def lowered(
        x: Array, dims: int | Sequence[int] | None = None, keepdim: bool = False, **_: Any
    ) -> Array:
        return function(x, axis=_axes(x, dims), keepdims=keepdim)

    return lowered


def _variance(
    x: Array,
    dims: Sequence[int] | None = None,
    *,
    correction: float | None = None,
    keepdim: bool = False,
) -> Array:
    ddof: Any = 1 if correction is None else correction
    return jnp.var(x, axis=_axes(x, dims), ddof=ddof, keepdims=keepdim)


TABLE: dict[str, Lowering] = {
    "aten.add.Tensor": _scaled(jnp.add),
    "aten.add.Scalar": _scaled(jnp.add),
    "aten.sub.Tensor": _scaled(jnp.subtract),
    "aten.sub.Scalar": _scaled(jnp.subtract),
    "aten.rsub.Scalar": _scaled(lambda a, b: b - a),
    "aten.mul.Tensor": jnp.multiply,
    "aten.mul.Scalar": jnp.multiply,
    "aten.div.Tensor": _divide,
    "aten.div.Tensor_mode": _divide,
    "aten.div.Scalar": _divide,
    "aten.pow.Tensor_Scalar": jnp.power,
    "aten.pow.Tensor_Tensor": jnp.power,
    "aten.maximum.default": jnp.maximum,
    "aten.minimum.default": jnp.minimum,
    "aten.clamp.default": _clamp,
    "aten.hardtanh.default": lambda x, low=-1.0, high=1.0: jnp.clip(x, low, high),
    "aten.relu.default": lambda x: jnp.maximum(x, 0),
    "aten.gelu.default": _gelu,
    "aten.threshold_backward.default": lambda g, x, threshold: jnp.where(x <= threshold, 0, g),
    "aten.neg.default": jnp.negative,
    "aten.abs.default": jnp.abs,
    "aten.sign.default": jnp.sign,
    "aten.exp.default": jnp.exp,
    "aten.log.default": jnp.log,
    "aten.sqrt.default": jnp.sqrt,
    "aten.rsqrt.default": jax.lax.rsqrt,
    "aten.reciprocal.default": jnp.reciprocal,
    "aten.tanh.default": jnp.tanh,
    "aten.erf.default": jax.lax.erf,
    "aten.sigmoid.default": jax.nn.sigmoid,
    "aten.eq.Scalar": jnp.equal,
    "aten.eq.Tensor": jnp.equal,
    "aten.ne.Scalar": jnp.not_equal,
    "aten.ne.Tensor": jnp.not_equal,
    "aten.lt.Scalar": jnp.less,
    "aten.lt.Tensor": jnp.less,
    "aten.le.Scalar": jnp.less_equal,
    "aten.le.Tensor": jnp.less_equal,
    "aten.gt.Scalar": jnp.greater,
    "aten.gt.Tensor": jnp.greater,
    "aten.ge.Scalar": jnp.greater_equal,
    "aten.ge.Tensor": jnp.greater_equal,
    "aten.bitwise_and.Tensor": jnp.bitwise_and,
    "aten.bitwise_or.Tensor": jnp.bitwise_or,
    "aten.bitwise_not.default": jnp.bitwise_not,
    "aten.logical_and.default": jnp.logical_and,
    "aten.logical_or.default": jnp.logical_or,
    "aten.logical_not.default": jnp.logical_not,
    "aten.where.self": jnp.where,
    "aten.sum.default": lambda x, **_: jnp.sum(x),
    "aten.sum.dim_IntList": _reduction(jnp.sum),
    "aten.mean.default": lambda x, **_: jnp.mean(x),
    "aten.mean.dim": _reduction(jnp.mean),
    "aten.amax.default": _reduction(jnp.max),
    "aten.amin.default": _reduction(jnp.min),
    "aten.var.correction": _variance,
}
