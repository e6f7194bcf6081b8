"""Convolution and its gradients as XLA operations.

On CPU a convolution of one sample is a gather of shifted inputs side by side ("columns") and one
matrix product: XLA's own convolution is a plain loop nest there in channels-first order (16
channels, 8 x 8 pixels, forward and backward: 338 us with it, 37 us so), and its compiler ends the
process at some gradients in float64 (kernel 7 x 2, stride 2, on 7 x 6). Both gradients are products
with the columns of the output's gradient, where there is no stride. Groups are batches of products;
a transposed convolution is the gradient of one. Elsewhere it is XLA's convolution.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from .accumulate import wide_contraction, wide_matmul, wide_type

Array = Any


@dataclass(frozen=True)
class Window:
    """How a kernel slides: ATen's arguments after the bias."""

    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    transposed: bool
    output_padding: tuple[int, ...]
    groups: int


def convolution(
    x: Array,
    weight: Array,
    bias: Array | None,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    transposed: bool,
    output_padding: Sequence[int],
    groups: int,
) -> Array:
    """x (N, C, *spatial); weight (out, in/groups, *kernel), or (in, out/groups, *kernel).

    Like the gradients below in at least float32: what is narrower is rounded once, by the caller.
    """
    window = _window(stride, padding, dilation, transposed, output_padding, groups)
    if jax.default_backend() != "cpu":
        y = _general(x, weight, window, wide_type(x))
    else:
        y = _joined(_by_groups(partial(_convolved, window=window), window, (x,), weight))
    return y if bias is None else y + bias.reshape(-1, *([1] * (x.ndim - 2)))


def convolution_backward(
    grad: Array,
    x: Array,
    weight: Array,
    bias_sizes: Sequence[int] | None,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    transposed: bool,
    output_padding: Sequence[int],
    groups: int,
    output_mask: Sequence[bool],
) -> tuple[Array | None, ...]:
    """Gradients of (x, weight, bias), None where `output_mask` is false."""
    window = _window(stride, padding, dilation, transposed, output_padding, groups)
    if jax.default_backend() != "cpu":
        _, transpose = jax.vjp(lambda x, weight: _general(x, weight, window), x, weight)
        grad_x, grad_weight = transpose(grad)
    else:
        gradients = partial(_gradients, window=window)
        grad_x, grad_weight = _by_groups(gradients, window, (grad, x), weight)
        grad_x, grad_weight = _joined(grad_x), grad_weight.reshape(weight.shape)
    grad_bias = jnp.sum(grad, axis=(0, *range(2, grad.ndim)))
    wanted = zip((grad_x, grad_weight, grad_bias), output_mask, strict=True)
    return tuple(value if is_wanted else None for value, is_wanted in wanted)


def weight_gradient_factors(
    grad: Array,
    x: Array,
    weight: Array,
    bias_sizes: Sequence[int] | None,
    *window: Any,
) -> tuple[Array, Array] | None:
    """Of the gradient of the weight as `convolution_backward` gives it, with its arguments: a
    column and a row whose product it is; None where it is none."""
    slid = _window(*window[:6])
    if jax.default_backend() != "cpu" or slid.groups != 1 or slid.transposed:
        return None
    columns = Columns(x.shape[2:], weight.shape[2:], slid)
    return columns.factors_of_weight(grad, x) if columns.has_one_position(grad) else None


def _window(
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    transposed: bool,
    output_padding: Sequence[int],
    groups: int,
) -> Window:
    lists = (tuple(stride), tuple(padding), tuple(dilation))
    return Window(*lists, bool(transposed), tuple(output_padding), int(groups))


def _general(x: Array, weight: Array, window: Window, dtype: Any = None) -> Array:
    """XLA's convolution; a transposed one is a convolution of the spread-out input."""
    kernel = weight.shape[2:]
    strides, spread = window.stride, (1,) * len(kernel)
    pads = [(p, p) for p in window.padding]
    if window.transposed:
        weight, strides, spread = _flipped(weight, window.groups), spread, strides
        sizes = zip(window.dilation, kernel, window.padding, strict=True)
        reach = [d * (k - 1) - p for d, k, p in sizes]
        pads = [(n, n + extra) for n, extra in zip(reach, window.output_padding, strict=True)]
    return lax.conv_general_dilated(
        x,
        weight,
        window_strides=strides,
        padding=pads,
        lhs_dilation=spread,
        rhs_dilation=window.dilation,
        feature_group_count=window.groups,
        preferred_element_type=dtype,
    )


def _rows_first(weight: Array) -> Array:
    """(out, in, h, k) -> (out h, in k)."""
    outputs, inputs, height, across = weight.shape
    return jnp.moveaxis(weight, 2, 1).reshape(outputs * height, inputs * across)


def _flipped(weight: Array, groups: int) -> Array:
    """(in, out/groups, *kernel) -> (out, in/groups, *flipped kernel)."""
    inputs, outputs, *kernel = weight.shape
    split = weight.reshape(groups, inputs // groups, outputs, *kernel).swapaxes(1, 2)
    joined = split.reshape(groups * outputs, inputs // groups, *kernel)
    return jnp.flip(joined, axis=tuple(range(2, joined.ndim)))


def _by_groups(function: Any, window: Window, samples: Sequence[Array], weight: Array) -> Any:
    """`function` of each group's (*samples, weight): its results have the groups in front.

    Each of `samples` is (N, groups * channels, ...), and the weight (groups * channels, ...).
    """
    count = window.groups
    if count == 1:
        return jax.tree.map(lambda y: y[None], function(*samples, weight))
    split = [x.reshape(len(x), count, x.shape[1] // count, *x.shape[2:]) for x in samples]
    weights = weight.reshape(count, len(weight) // count, *weight.shape[1:])
    return jax.vmap(function, (*[1] * len(split), 0))(*split, weights)


def _joined(groups: Array) -> Array:
    """(groups, N, channels, ...) to (N, groups * channels, ...)."""
    count, samples, channels, *sizes = groups.shape
    return jnp.moveaxis(groups, 0, 1).reshape(samples, count * channels, *sizes)


def _turned(x: Array, weight: Array, window: Window) -> Columns:
    """The columns of the convolution whose gradient of the input a transposed one is."""
    axes = zip(
        *(x.shape[2:], weight.shape[2:], window.output_padding),
        *(window.stride, window.padding, window.dilation),
        strict=True,
    )
    sizes = tuple((n - 1) * s - 2 * p + d * (k - 1) + more + 1 for n, k, more, s, p, d in axes)
    return Columns(sizes, weight.shape[2:], window)


def _filled(x: Array, sizes: Sequence[int]) -> Array:
    """x with zeros at the ends, where an output padding reaches farther than a stride."""
    ends = [(0, size - n) for size, n in zip(sizes, x.shape[2:], strict=True)]
    return jnp.pad(x, [(0, 0), (0, 0), *ends])


def _convolved(x: Array, weight: Array, window: Window) -> Array:
    """Without groups, by columns."""
    if window.transposed:
        columns = _turned(x, weight, window)
        shape = (len(x), weight.shape[1], *columns.spatial)
        return columns.gradient_of_input(_filled(x, columns.sizes), weight, shape)
    return Columns(x.shape[2:], weight.shape[2:], window).convolve(x, weight)


def _gradients(grad: Array, x: Array, weight: Array, window: Window) -> tuple[Array, Array]:
    """Those of x and the weight without groups, by columns."""
    if window.transposed:
        turned = _turned(x, weight, window)
        grad_x = turned.convolve(grad, weight)[(..., *map(slice, x.shape[2:]))]
        filled = _filled(x, turned.sizes)
        return grad_x, turned.gradient_of_weight(filled, grad, weight.shape)
    columns = Columns(x.shape[2:], weight.shape[2:], window)
    if (mirror := columns.mirror) and mirror.is_cheaper(weight):
        return mirror.gradients(grad, x, weight)
    grad_x = columns.gradient_of_input(grad, weight, x.shape)
    return grad_x, columns.gradient_of_weight(grad, x, weight.shape)


@dataclass(frozen=True)
class Columns:
    """The shifts of one convolution: K kernel offsets, L output and P input positions."""

    spatial: tuple[int, ...]
    kernel: tuple[int, ...]
    window: Window

    @property
    def sizes(self) -> tuple[int, ...]:
        """The spatial sizes of the output."""
        window = self.window
        axes = zip(
            self.spatial, self.kernel, window.stride, window.padding, window.dilation, strict=True
        )
        return tuple((n + 2 * p - d * (k - 1) - 1) // s + 1 for n, k, s, p, d in axes)

    def unfolded(self, x: Array, flipped: bool = False) -> Array:
        """(N, C, *spatial) to (N, C, K, L): what each offset meets, zero outside; or last first."""
        table = self.input_of[::-1] if flipped else self.input_of
        taken = x.reshape(*x.shape[:2], -1).at[:, :, np.maximum(table, 0)]
        return jnp.where(table >= 0, taken.get(mode="promise_in_bounds"), 0)

    @cached_property
    def input_of(self) -> np.ndarray:
        """(K, L): the input position that an offset meets at an output position, or -1."""
        window = self.window
        numbers = np.arange(math.prod(self.spatial)).reshape(self.spatial)
        padded = np.pad(numbers, [(p, p) for p in window.padding], constant_values=-1)
        rows = []
        for offset in itertools.product(*map(range, self.kernel)):
            starts = [o * d for o, d in zip(offset, window.dilation, strict=True)]
            axes = zip(starts, window.stride, self.sizes, strict=True)
            index = tuple(slice(a, a + (n - 1) * s + 1, s) for a, s, n in axes)
            rows.append(padded[index].reshape(-1))
        return np.stack(rows)

    def is_by_rows(self, weight: Array) -> bool:
        """Whether `unfolded_rows` takes less time than `unfolded`: there it writes a third of a
        3 x 3 kernel's columns, and has the weights reordered and sums of rows added up for it.

        With 16 channels and 32 x 32 positions a convolution and its gradients take 0.74 of their
        time, with 32 and 24 x 24 they take 0.93, with 32 and 16 x 16 all of it.
        """
        window = self.window
        slides = {*window.stride, *window.dilation} == {1} and len(self.kernel) == 2
        is_large = math.prod(self.sizes) >= 16 * max(weight.shape[:2])
        return slides and min(self.kernel) > 1 and is_large

    def unfolded_rows(self, x: Array) -> Array:
        """(N, C, H, W) to (N, C k, P): what each offset along a row meets, P positions of the
        output's width and the padded input's height."""
        across = self.window.padding[1]
        above = self.window.padding[0]
        padded = jnp.pad(x, ((0, 0), (0, 0), (above, above), (across, across)))
        width = self.sizes[1]
        shifted = [padded[..., j : j + width] for j in range(self.kernel[1])]
        return jnp.stack(shifted, 2).reshape(len(x), x.shape[1] * self.kernel[1], -1)

    def added_rows(self, parts: Array, channels: int) -> Array:
        """(N, channels k, P), a part of each row of the kernel, to (N, channels, *sizes)."""
        width, positions = self.sizes[1], math.prod(self.sizes)
        parts = parts.reshape(len(parts), channels, self.kernel[0], -1)
        total: Any = 0
        for row in range(self.kernel[0]):
            total = total + parts[:, :, row, row * width : row * width + positions]
        return total.reshape(len(parts), channels, *self.sizes)

    def convolve(self, x: Array, weight: Array) -> Array:
        """(N, C, *spatial) to (N, out, *sizes)."""
        if self.is_by_rows(weight):
            made = wide_matmul(_rows_first(weight), self.unfolded_rows(x))
            return self.added_rows(made, weight.shape[0])
        columns = self.unfolded(x).reshape(x.shape[0], math.prod(weight.shape[1:]), -1)
        y = wide_matmul(weight.reshape(weight.shape[0], -1), columns)
        return y.reshape(x.shape[0], weight.shape[0], *self.sizes)

    def gradient_of_weight(self, grad: Array, x: Array, shape: Sequence[int]) -> Array:
        """Sum over samples and output positions of gradient times column.

        Of one position it is a product that XLA fuses with what steps the weight.
        """
        if self.has_one_position(grad):
            column, row = self.factors_of_weight(grad, x)
            return (column[:, None] * row).reshape(shape)
        grad = grad.reshape(*grad.shape[:2], -1)
        contracted = (((0, 2), (0, 3)), ((), ()))
        return wide_contraction(grad, self.unfolded(x), contracted).reshape(shape)

    def gradient_of_input(self, grad: Array, weight: Array, shape: Sequence[int]) -> Array:
        """The columns' gradients, each added up at the input position it came from.

        By shifts, one per offset: for a batch, a gather of them takes 13 to 77 times as long.
        Positions come before channels, since the weight is then multiplied as it lies: from the
        left its transpose takes 7 times as long for 4 positions, and 100 times for one.
        """
        grad = grad.reshape(*grad.shape[:2], -1)
        contracted = (((1,), (0,)), ((), ()))
        columns = wide_contraction(grad, weight.reshape(weight.shape[0], -1), contracted)
        parts = columns.reshape(shape[0], *self.sizes, shape[1], -1)
        offsets = itertools.product(*map(range, self.kernel))
        shifted = [self._shifted(parts[..., k], offset) for k, offset in enumerate(offsets)]
        return jnp.moveaxis(sum(shifted[1:], start=shifted[0]), -1, 1)

    def has_one_position(self, grad: Array) -> bool:
        """Whether the gradient of the weight is a column times a row."""
        return grad.shape[0] == 1 and math.prod(self.sizes) == 1

    def factors_of_weight(self, grad: Array, x: Array) -> tuple[Array, Array]:
        """The column (out,) and the row (in K,) of a gradient of one position."""
        wide = wide_type(grad)
        return grad.reshape(-1).astype(wide), self.unfolded(x).reshape(-1).astype(wide)

    @property
    def mirror(self) -> Columns | None:
        """The columns that outputs make for inputs, by the flipped kernel; None for strides."""
        window = self.window
        sizes = zip(window.dilation, self.kernel, window.padding, strict=True)
        padding = tuple(d * (k - 1) - p for d, k, p in sizes)
        if min(padding, default=0) < 0 or max(window.stride, default=1) > 1:
            return None
        return Columns(self.sizes, self.kernel, replace(window, padding=padding))

    def is_cheaper(self, weight: Array) -> bool:
        """Whether `gradients` move less: they unfold outputs, and reorder the weights."""
        outputs, inputs = weight.shape[:2]
        return outputs <= 2 * inputs and min(outputs, inputs) <= math.prod(self.sizes)

    def gradients(self, grad: Array, x: Array, weight: Array) -> tuple[Array, Array]:
        """Those of x and the weight of the convolution whose mirror this is: of one unfolding.

        Column (o, k) at input position p holds the gradient at p - k, which weight (o, c, k) sends
        to p: times the weights that is the gradient of x, times x at p that of the weights.
        The weights are reordered to (o k, c), within what each output has: (c, o k), which XLA
        makes of a contraction over o and k, takes 1.6 ms more of a sample of ResNet-20.
        """
        if self.is_by_rows(weight):
            return self._gradients_by_rows(grad, x, weight)
        columns = self.unfolded(grad, flipped=True)
        outputs, inputs = weight.shape[:2]
        by_offset = jnp.moveaxis(weight.reshape(outputs, inputs, -1), 1, 2).reshape(-1, inputs)
        flat = columns.reshape(len(grad), len(by_offset), -1)
        grad_x = wide_contraction(by_offset, flat, (((0,), (1,)), ((), ())))
        flat_x = x.reshape(*x.shape[:2], -1)
        grad_weight = wide_contraction(columns, flat_x, (((0, 3), (0, 2)), ((), ())))
        return (
            jnp.moveaxis(grad_x, 0, 1).reshape(x.shape),
            jnp.moveaxis(grad_weight, 2, 1).reshape(weight.shape),
        )

    def _gradients_by_rows(self, grad: Array, x: Array, weight: Array) -> tuple[Array, Array]:
        """The same of `unfolded_rows`: times x moved along by rows, that is the gradient of the
        weights, the last offset first."""
        (outputs, inputs), (height, across) = weight.shape[:2], self.kernel
        rows = self.unfolded_rows(grad)
        turned = jnp.transpose(jnp.flip(weight, (2, 3)), (0, 3, 1, 2))
        turned = turned.reshape(outputs * across, inputs * height)
        made = wide_contraction(turned, rows, (((0,), (1,)), ((), ())))
        grad_x = self.added_rows(jnp.moveaxis(made, 1, 0), inputs)
        flat, width = x.reshape(len(x), inputs, -1), self.sizes[1]
        edges = ((row * width, (height - 1 - row) * width) for row in range(height))
        moved = jnp.stack([jnp.pad(flat, ((0, 0), (0, 0), edge)) for edge in edges], 2)
        moved = moved.reshape(len(x), inputs * height, -1)
        grad_weight = wide_contraction(rows, moved, (((0, 2), (0, 2)), ((), ())))
        last_first = grad_weight.reshape(outputs, across, inputs, height).transpose(0, 2, 3, 1)
        return grad_x, jnp.flip(last_first, (2, 3))

    def _shifted(self, part: Array, offset: Sequence[int]) -> Array:
        """(N, *sizes, C) at the input positions that one offset meets, (N, *spatial, C)."""
        window = self.window
        axes = zip(
            *(offset, self.spatial, self.sizes),
            *(window.stride, window.padding, window.dilation),
            strict=True,
        )
        firsts = [(o * d - p, n, size, s) for o, n, size, s, p, d in axes]
        edges = [(a, n - a - (size - 1) * s - 1, s - 1) for a, n, size, s in firsts]
        return lax.pad(part, jnp.zeros((), part.dtype), [(0, 0, 0), *edges, (0, 0, 0)])
