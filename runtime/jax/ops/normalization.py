"""ATen and weft normalizations, soft-max and negative log likelihood as jax.numpy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

Array = Any
Lowering = Callable[..., Any]


def _recurrence(advance: Callable[..., Array], start: Array, *terms: Array) -> tuple[Array, Array]:
    """s[t+1] = advance(s[t], *terms[t]): the states before every step, and the last one."""
    if terms[0].shape[0] == 1:
        return start[None], advance(start, *(term[0] for term in terms))

    def step(state: Array, now: tuple[Array, ...]) -> tuple[Array, Array]:
        return advance(state, *now), state

    last, before = jax.lax.scan(step, start, terms)
    return before, last


def _moving_average(values: Array, start: Array, leak: float) -> tuple[Array, Array]:
    """s[t+1] = (1 - leak)*s[t] + leak*values[t], as `_recurrence`.

    In steps from s[t]: the two factors, each rounded to float32, do not sum to 1, which for a leak
    of 0.001 takes a stream of equal values 1.3e-5 away from itself.
    """
    return _recurrence(lambda state, value: state + leak * (value - state), start, values)


def _spatial_mean(x: Array) -> Array:
    return jnp.mean(x, axis=tuple(range(2, x.ndim))) if x.ndim > 2 else x


def _per_pixel(statistic: Array, like: Array) -> Array:
    return statistic.reshape(*statistic.shape, *([1] * (like.ndim - 2)))


def _online_norm(
    x: Array,
    mean: Array,
    var: Array,
    u: Array,
    v: Array,
    alpha_fwd: float,
    alpha_bkw: float,
    eps: float,
) -> tuple[Array, Array, Array, Array]:
    """Chiley et al. 2019, as weft::online_norm: y, scale (N, C), new mean and var (C,)."""
    x = x.astype(jnp.promote_types(x.dtype, mean.dtype))
    sample_mean = _spatial_mean(x)
    sample_var = _spatial_mean(jnp.square(x - _per_pixel(sample_mean, x)))
    means, new_mean = _moving_average(sample_mean, mean, 1 - alpha_fwd)
    step = sample_mean - means
    spread = sample_var + alpha_fwd * step * step
    variances, new_var = _moving_average(spread, var, 1 - alpha_fwd)
    scale = jnp.sqrt(variances + eps)
    return (x - _per_pixel(means, x)) / _per_pixel(scale, x), scale, new_mean, new_var


def _online_norm_backward(
    grad: Array, y: Array, scale: Array, u: Array, v: Array, alpha_bkw: float
) -> tuple[Array, Array, Array]:
    """As weft::online_norm_backward: gradient of x, new u and v (C,)."""
    wide = jnp.promote_types(grad.dtype, scale.dtype)
    grad, y = grad.astype(wide), y.astype(wide)
    leak = 1 - alpha_bkw
    projection, power = _spatial_mean(grad * y), _spatial_mean(y * y)
    vs, new_v = _recurrence(lambda s, p, q: s + (p - leak * q * s), v, projection, power)
    along_y = leak * vs
    mean_grad = (_spatial_mean(grad) - along_y * _spatial_mean(y)) / scale
    us, new_u = _recurrence(lambda s, g: s + (g - leak * s), u, mean_grad)
    grad_x = (grad - _per_pixel(along_y, y) * y) / _per_pixel(scale, y) - _per_pixel(leak * us, y)
    return grad_x, new_u, new_v


def _per_channel(weight: Array, like: Array) -> Array:
    return weight.reshape(-1, *([1] * (like.ndim - 2)))


def _group_norm(
    x: Array,
    weight: Array | None,
    bias: Array | None,
    _n: int,
    _c: int,
    _space: int,
    groups: int,
    eps: float,
) -> tuple[Array, Array, Array]:
    """Output like x, mean and reciprocal deviation (N, groups)."""
    grouped = x.reshape(x.shape[0], groups, -1)
    mean = jnp.mean(grouped, axis=2)
    centred = grouped - mean[..., None]
    scale = jax.lax.rsqrt(jnp.mean(centred * centred, axis=2) + eps)
    y = (centred * scale[..., None]).reshape(x.shape)
    y = y if weight is None else y * _per_channel(weight, x)
    return y if bias is None else y + _per_channel(bias, x), mean, scale


def _group_norm_backward(
    grad: Array,
    x: Array,
    mean: Array,
    scale: Array,
    weight: Array | None,
    _n: int,
    _c: int,
    _space: int,
    groups: int,
    output_mask: Sequence[bool],
) -> tuple[Array | None, ...]:
    """Gradients of (x, weight, bias), None where `output_mask` is false."""
    samples, space = x.shape[0], tuple(range(2, x.ndim))
    grouped = x.reshape(samples, groups, -1)
    y = (grouped - mean[..., None]) * scale[..., None]
    weighted = grad if weight is None else grad * _per_channel(weight, x)
    grad_x = _project_out(weighted.reshape(grouped.shape), y) * scale[..., None]
    grad_weight = jnp.sum(grad * y.reshape(x.shape), axis=(0, *space))
    grads = (grad_x.reshape(x.shape), grad_weight, jnp.sum(grad, axis=(0, *space)))
    return tuple(g if wanted else None for g, wanted in zip(grads, output_mask, strict=True))


def _project_out(grad: Array, y: Array) -> Array:
    """Take the components along 1 and along y, both over the last axis, out of the gradient."""
    mean = jnp.mean(grad, axis=-1, keepdims=True)
    return grad - mean - y * jnp.mean(grad * y, axis=-1, keepdims=True)


def _layer_norm(
    x: Array, shape: Sequence[int], weight: Array | None, bias: Array | None, eps: float
) -> tuple[Array, Array, Array]:
    """Output like x; mean and reciprocal deviation keep the normalised axes as 1."""
    axes = tuple(range(x.ndim - len(shape), x.ndim))
    mean = jnp.mean(x, axis=axes, keepdims=True)
    scale = jax.lax.rsqrt(jnp.mean(jnp.square(x - mean), axis=axes, keepdims=True) + eps)
    y = (x - mean) * scale
    y = y if weight is None else y * weight
    return y if bias is None else y + bias, mean, scale


def _layer_norm_backward(
    grad: Array,
    x: Array,
    shape: Sequence[int],
    mean: Array,
    scale: Array,
    weight: Array | None,
    _bias: Array | None,
    output_mask: Sequence[bool],
) -> tuple[Array | None, ...]:
    """Gradients of (x, weight, bias), None where `output_mask` is false."""
    outer = tuple(range(x.ndim - len(shape)))
    y = (x - mean) * scale
    weighted = grad if weight is None else grad * weight
    flat = (*x.shape[: len(outer)], -1)
    grad_x = _project_out(weighted.reshape(flat), y.reshape(flat)).reshape(x.shape) * scale
    grads = (grad_x, jnp.sum(grad * y, axis=outer), jnp.sum(grad, axis=outer))
    return tuple(g if wanted else None for g, wanted in zip(grads, output_mask, strict=True))


def _softmax_backward(grad: Array, y: Array, dim: int, _dtype: Any) -> Array:
    return y * (grad - jnp.sum(grad * y, axis=dim, keepdims=True))


def _log_softmax_backward(grad: Array, y: Array, dim: int, _dtype: Any) -> Array:
    return grad - jnp.exp(y) * jnp.sum(grad, axis=dim, keepdims=True)


TABLE: dict[str, Lowering] = {
    "weft.online_norm.default": _online_norm,
    "weft.online_norm_backward.default": _online_norm_backward,
    "aten.native_group_norm.default": _group_norm,
    "aten.native_group_norm_backward.default": _group_norm_backward,
    "aten.native_layer_norm.default": _layer_norm,
    "aten.native_layer_norm_backward.default": _layer_norm_backward,
    "aten._softmax.default": lambda x, dim, _: jax.nn.softmax(x, axis=dim),
    "aten._softmax_backward_data.default": _softmax_backward,
    "aten._log_softmax.default": lambda x, dim, _: jax.nn.log_softmax(x, axis=dim),
    "aten._log_softmax_backward_data.default": _log_softmax_backward,
}
