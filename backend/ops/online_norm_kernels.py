"""Online Normalization compiled for the CPU: one pass over x forward, two over (g, y) backward.

Arrays are (samples, channels, pixels). Samples are visited in order, so the result does not depend
on how the stream is cut into batches, to the bit. State (mean, var, u, v) is updated in place.
After the normalization an affine map and a clamp may follow, z = clamp(weight*y + bias); their
backward comes for almost nothing, since the sums it needs are those of the normalization.

Arithmetic on pixels is in the arrays' dtype, on statistics in float64. Sums run in blocks that are
added in float64, so rounding does not grow with the image.

The entry points `forward` and `backward` take addresses, 0 for an absent tensor: wrapping a tensor
as an array costs more than normalising a small image. `bound` (inf: no clamp) also carries the
dtype of all tensors.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import float64, njit, types
from numba.extending import intrinsic
from numba.np.numpy_support import carray

_BLOCK = 1024
# Sums may be reordered, to be vectorised; NaN and infinities keep their meaning.
_OPTIONS: dict[str, Any] = {
    "nogil": True,
    "error_model": "numpy",
    "fastmath": {"reassoc", "contract"},
}
# Called by compiled code only: without ways in from Python, which take long to compile.
_INNER: dict[str, Any] = {**_OPTIONS, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}


def _pointer_like(typing_context: Any, address: Any, like: Any) -> Any:
    """The address as a pointer to values of the type of `like`."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], context.get_value_type(signature.return_type))

    return types.CPointer(like)(types.intp, like), build


_pointer: Any = intrinsic(_pointer_like)


@njit(cache=True, **_OPTIONS)
def forward(samples, channels, pixels, x, mean, var, alpha, eps, y, scale, weight, bias, bound, z):
    """Write y, scale and, unless its address is 0, z; advance mean and var."""
    shape = (samples, channels, pixels)
    xs, ys = carray(_pointer(x, bound), shape), carray(_pointer(y, bound), shape)
    means, variances = (
        carray(_pointer(mean, bound), channels),
        carray(_pointer(var, bound), channels),
    )
    scales = carray(_pointer(scale, bound), (samples, channels))
    if pixels == 1:
        _normalise_features(xs, means, variances, alpha, eps, ys, scales)
    else:
        _normalise_images(xs, means, variances, alpha, eps, ys, scales)
    if z:
        weights, biases = _affine(weight, bias, channels, bound)
        _transform(ys, weights, biases, bound, carray(_pointer(z, bound), shape))


@njit(cache=True, **_OPTIONS)
def backward(
    samples, channels, pixels, grad, y, scale, u, v, alpha, weight, bias, bound, grad_x, sums
):
    """Write grad_x, advance u and v, write the gradients of (bias, weight) to sums (2, channels).

    `grad` belongs to z, and `sums` may be absent.
    """
    shape = (samples, channels, pixels)
    grads, ys = carray(_pointer(grad, bound), shape), carray(_pointer(y, bound), shape)
    scales = carray(_pointer(scale, bound), (samples, channels))
    us, vs = carray(_pointer(u, bound), channels), carray(_pointer(v, bound), channels)
    weights, biases = _affine(weight, bias, channels, bound)
    grad_xs = carray(_pointer(grad_x, bound), shape)
    totals = np.zeros((2, channels))
    if pixels == 1:
        _features_backward(
            grads, ys, scales, us, vs, alpha, weights, biases, bound, grad_xs, totals
        )
    else:
        _images_backward(grads, ys, scales, us, vs, alpha, weights, biases, bound, grad_xs, totals)
    if sums:
        given = carray(_pointer(sums, bound), (2, channels))
        for c in range(channels):  # a slice would take numba three seconds to compile
            given[0, c], given[1, c] = totals[0, c], totals[1, c]


@njit(**_INNER)
def _affine(weight, bias, channels, bound):
    """Weights and biases; 1 and 0 where absent."""
    if weight:
        return carray(_pointer(weight, bound), channels), carray(_pointer(bias, bound), channels)
    weights, biases = np.empty(channels, type(bound)), np.empty(channels, type(bound))
    weights[:], biases[:] = 1, 0
    return weights, biases


@njit(**_INNER)
def _advance(mean, var, alpha, step, power):
    """Next mean and variance; step is <x> - mean and power <(x - mean)^2> of the sample.

    power is the sample's variance + step^2, so the update (1-a)*variance + a*(1-a)*step^2 is
    (1-a)*(power - (1-a)*step^2): for a near 1 nothing cancels.
    """
    leak = 1 - alpha
    return mean + leak * step, alpha * var + leak * (power - leak * step * step)


@njit(**_INNER)
def _normalise_features(xs, means, variances, alpha, eps, ys, scales):
    for n in range(xs.shape[0]):
        for c in range(xs.shape[1]):
            scale = math.sqrt(float64(variances[c]) + eps)
            step = float64(xs[n, c, 0]) - means[c]
            scales[n, c], ys[n, c, 0] = scale, step / scale
            means[c], variances[c] = _advance(means[c], variances[c], alpha, step, step * step)


@njit(**_INNER)
def _normalise_images(xs, means, variances, alpha, eps, ys, scales):
    real, pixels = xs.dtype.type, xs.shape[2]
    for n in range(xs.shape[0]):
        for c in range(xs.shape[1]):
            scale = math.sqrt(float64(variances[c]) + eps)
            first, second = _normalise_row(xs[n, c], ys[n, c], means[c], real(1 / scale))
            scales[n, c] = scale
            step, power = first / pixels, second / pixels
            means[c], variances[c] = _advance(means[c], variances[c], alpha, step, power)


@njit(**_INNER)
def _normalise_row(x, y, mean, inverse):
    """Write (x - mean) * inverse; return the sums of x - mean and of its square."""
    first = second = 0.0
    for start in range(0, x.size, _BLOCK):
        a = b = x.dtype.type(0)
        for i in range(start, min(start + _BLOCK, x.size)):
            centred = x[i] - mean
            a += centred
            b += centred * centred
            y[i] = centred * inverse
        first += a
        second += b
    return first, second


@njit(**_INNER)
def _transform(ys, weights, biases, bound, zs):
    for n in range(ys.shape[0]):
        if ys.shape[2] == 1:
            for c in range(ys.shape[1]):
                value = weights[c] * ys[n, c, 0] + biases[c]
                value = bound if value > bound else value
                zs[n, c, 0] = -bound if value < -bound else value
        else:
            for c in range(ys.shape[1]):
                _transform_row(ys[n, c], weights[c], biases[c], bound, zs[n, c])


@njit(**_INNER)
def _transform_row(y, weight, bias, bound, z):
    for i in range(y.size):
        value = weight * y[i] + bias
        value = bound if value > bound else value
        z[i] = -bound if value < -bound else value


@njit(**_INNER)
def _features_backward(grads, ys, scales, us, vs, alpha, weights, biases, bound, grad_xs, totals):
    leak = 1 - alpha
    for n in range(grads.shape[0]):
        for c in range(grads.shape[1]):
            y, g = float64(ys[n, c, 0]), float64(grads[n, c, 0])
            g = 0.0 if abs(weights[c] * ys[n, c, 0] + biases[c]) >= bound else g
            totals[0, c] += g
            totals[1, c] += g * y
            g = g * weights[c] - leak * vs[c] * y
            vs[c] += g * y
            g = g / scales[n, c] - leak * us[c]
            us[c] += g
            grad_xs[n, c, 0] = g


@njit(**_INNER)
def _images_backward(grads, ys, scales, us, vs, alpha, weights, biases, bound, grad_xs, totals):
    """<g1*y> = <g*y> - leak*v*<y*y> and u' = alpha*u + <g2>: the recurrences need averages only."""
    real, pixels, leak = grads.dtype.type, grads.shape[2], 1 - alpha
    for n in range(grads.shape[0]):
        for c in range(grads.shape[1]):
            weight, bias, inverse = weights[c], biases[c], 1 / float64(scales[n, c])
            along_y, shift = leak * vs[c], leak * us[c]
            g, gy, y, yy = _sums(grads[n, c], ys[n, c], weight, bias, bound)
            factors = real(weight * inverse), real(-along_y * inverse), real(-shift)
            _combine(grads[n, c], ys[n, c], weight, bias, bound, factors, grad_xs[n, c])
            totals[0, c] += g
            totals[1, c] += gy
            vs[c] += (weight * gy - along_y * yy) / pixels
            us[c] = alpha * us[c] + (weight * g - along_y * y) / pixels * inverse


@njit(**_INNER)
def _sums(grad, y, weight, bias, bound):
    """Sums of g, g*y, y, y*y, where g is grad inside the clamp and 0 at it."""
    zero = grad.dtype.type(0)
    s0 = s1 = s2 = s3 = 0.0
    for start in range(0, grad.size, _BLOCK):
        b0 = b1 = b2 = b3 = zero
        for i in range(start, min(start + _BLOCK, grad.size)):
            g, value = grad[i], y[i]
            g = zero if abs(weight * value + bias) >= bound else g
            b0 += g
            b1 += g * value
            b2 += value
            b3 += value * value
        s0 += b0
        s1 += b1
        s2 += b2
        s3 += b3
    return s0, s1, s2, s3


@njit(**_INNER)
def _combine(grad, y, weight, bias, bound, factors, out):
    """out = factors[0]*g + factors[1]*y + factors[2], with g as in `_sums`."""
    zero = grad.dtype.type(0)
    along_g, along_y, shift = factors
    for i in range(grad.size):
        g, value = grad[i], y[i]
        g = zero if abs(weight * value + bias) >= bound else g
        out[i] = g * along_g + value * along_y + shift
