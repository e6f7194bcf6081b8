"""ATen upsampling: linear along each axis, so a product with one constant matrix per axis."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

Array = Any
Lowering = Callable[..., Any]
MatrixFunction = Callable[[int, int, float | None, bool], np.ndarray]
"""(inputs, outputs, scale, align_corners) -> (outputs, inputs)."""

_CUBIC = -0.75


def _centres(inputs: int, outputs: int, scale: float | None, align: bool) -> np.ndarray:
    """Input coordinates of the outputs' centres."""
    if align:
        return np.arange(outputs) * ((inputs - 1) / (outputs - 1) if outputs > 1 else 0.0)
    return (np.arange(outputs) + 0.5) * _step(inputs, outputs, scale) - 0.5


def _step(inputs: int, outputs: int, scale: float | None) -> float:
    return 1 / scale if scale else inputs / outputs


def _nearest(inputs: int, outputs: int, scale: float | None, _align: bool) -> np.ndarray:
    step = np.float32(_step(inputs, outputs, scale))
    chosen = np.floor(np.arange(outputs, dtype=np.float32) * step).astype(int)
    return np.eye(inputs)[np.minimum(chosen, inputs - 1)]


def _linear(inputs: int, outputs: int, scale: float | None, align: bool) -> np.ndarray:
    centres = np.maximum(_centres(inputs, outputs, scale, align), 0)
    low = np.minimum(centres.astype(int), inputs - 1)
    share = (centres - low)[:, None]
    high = np.minimum(low + 1, inputs - 1)
    return (1 - share) * np.eye(inputs)[low] + share * np.eye(inputs)[high]


def _cubic(inputs: int, outputs: int, scale: float | None, align: bool) -> np.ndarray:
    """Keys' cubic convolution with a = -0.75; positions outside are the border's."""
    centres = _centres(inputs, outputs, scale, align)
    low = np.floor(centres).astype(int)
    matrix = np.zeros((outputs, inputs))
    for offset in (-1, 0, 1, 2):
        d = np.abs(centres - (low + offset))
        near = ((_CUBIC + 2) * d - (_CUBIC + 3)) * d * d + 1
        far = _CUBIC * (((d - 5) * d + 8) * d - 4)
        chosen = np.eye(inputs)[np.clip(low + offset, 0, inputs - 1)]
        matrix += np.where(d <= 1, near, far)[:, None] * chosen
    return matrix


def _matrices(
    matrix: MatrixFunction,
    inputs: Sequence[int],
    outputs: Sequence[int],
    align: bool,
    scales: Sequence[float | None],
    dtype: Any,
) -> list[Array]:
    axes = zip(inputs, outputs, scales or (None, None), strict=True)
    return [jnp.asarray(matrix(n, m, scale, align), dtype) for n, m, scale in axes]


def _resize(matrix: MatrixFunction, has_align: bool) -> Lowering:
    def lowered(x: Array, sizes: Sequence[int], *options: Any) -> Array:
        align, scales = (options[0], options[1:]) if has_align else (False, options)
        rows, columns = _matrices(matrix, x.shape[2:], sizes, align, scales, x.dtype)
        return jnp.einsum("oh,nchw,pw->ncop", rows, x, columns)

    return lowered


def _resize_backward(matrix: MatrixFunction, has_align: bool) -> Lowering:
    def lowered(grad: Array, sizes: Sequence[int], before: Sequence[int], *options: Any) -> Array:
        align, scales = (options[0], options[1:]) if has_align else (False, options)
        rows, columns = _matrices(matrix, before[2:], sizes, align, scales, grad.dtype)
        return jnp.einsum("oh,ncop,pw->nchw", rows, grad, columns)

    return lowered


TABLE: dict[str, Lowering] = {
    "aten.upsample_nearest2d.default": _resize(_nearest, has_align=False),
    "aten.upsample_nearest2d_backward.default": _resize_backward(_nearest, has_align=False),
    "aten.upsample_bilinear2d.default": _resize(_linear, has_align=True),
    "aten.upsample_bilinear2d_backward.default": _resize_backward(_linear, has_align=True),
    "aten.upsample_bicubic2d.default": _resize(_cubic, has_align=True),
    "aten.upsample_bicubic2d_backward.default": _resize_backward(_cubic, has_align=True),
}
