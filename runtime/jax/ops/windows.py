"""ATen pooling and im2col: gathers by tables of which input position each window reads.

A table (K, L) has K offsets in the window and L output positions; -1 stands for padding.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, reduce
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .reductions import first_of

Array = Any
Lowering = Callable[..., Any]


@dataclass(frozen=True)
class Windows:
    """All windows over the spatial dimensions of an input, in one or more dimensions."""

    spatial: tuple[int, ...]
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    ceil_mode: bool = False

    @cached_property
    def sizes(self) -> tuple[int, ...]:
        """The spatial sizes of the output; a window never begins in the padding at the end."""
        return tuple(self._size(axis) for axis in range(len(self.spatial)))

    def _size(self, axis: int) -> int:
        n, p, s = self.spatial[axis], self.padding[axis], self.stride[axis]
        room = n + 2 * p - self.dilation[axis] * (self.kernel[axis] - 1) - 1
        if not self.ceil_mode:
            return room // s + 1
        size = -(-room // s) + 1
        return size - 1 if (size - 1) * s >= n + p else size

    def _positions(self, axis: int) -> np.ndarray:
        """(kernel, size): input positions along one axis, outside the input where padded."""
        starts = np.arange(self.sizes[axis]) * self.stride[axis] - self.padding[axis]
        return starts + (np.arange(self.kernel[axis]) * self.dilation[axis])[:, None]

    @cached_property
    def input_of(self) -> np.ndarray:
        """(K, L): the input position an offset reads at an output position, or -1."""
        table: np.ndarray = np.zeros((1, 1), int)
        for axis, n in enumerate(self.spatial):
            here = self._positions(axis)
            joined = table[:, None, :, None] * n + here[None, :, None, :]
            inside = (table[:, None, :, None] >= 0) & (here >= 0)[None, :, None, :]
            inside &= (here < n)[None, :, None, :]
            offsets, outputs = len(table) * len(here), table.size // len(table) * self.sizes[axis]
            table = np.where(inside, joined, -1).reshape(offsets, outputs)
        return table

    @cached_property
    def output_of(self) -> np.ndarray:
        """(K, P): the output position whose window reads an input position at an offset, or -1."""
        offsets, outputs = self.input_of.shape
        found = np.full((offsets, math.prod(self.spatial) + 1), -1)
        for row, inputs in enumerate(self.input_of):
            found[row, inputs] = np.arange(outputs)
        return found[:, :-1]  # the last position stood for -1

    @cached_property
    def padded_counts(self) -> np.ndarray:
        """(L,): entries of each window inside the input and the padding asked for."""
        within = [
            (self._positions(axis) < self.spatial[axis] + self.padding[axis]).sum(0)
            for axis in range(len(self.spatial))
        ]
        return np.asarray(reduce(np.multiply.outer, within)).reshape(-1)

    def gather(self, x: Array, outside: float) -> Array:
        """(N, C, *spatial) to (N, C, K, L)."""
        return _take(x.reshape(*x.shape[:2], -1), self.input_of, outside)


def _take(x: Array, table: np.ndarray, outside: float) -> Array:
    taken = x.at[:, :, np.maximum(table, 0)].get(mode="promise_in_bounds")
    return jnp.where(table >= 0, taken, jnp.asarray(outside, x.dtype))


def _windows(
    x: Array,
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    ceil_mode: bool,
) -> Windows:
    """ATen's short forms: one number for all dimensions, and no stride for the kernel's size."""
    rank = x.ndim - 2

    def full(value: Sequence[int]) -> tuple[int, ...]:
        return tuple(value) * (rank if len(value) == 1 else 1)

    sizes = (full(kernel), full(stride or kernel), full(padding), full(dilation))
    return Windows(x.shape[2:], *sizes, ceil_mode)


def _divisors(windows: Windows, includes_padding: bool, divisor: int | None) -> np.ndarray:
    if divisor is not None:
        return np.asarray(divisor)
    return windows.padded_counts if includes_padding else (windows.input_of >= 0).sum(0)


def _average_pool(
    x: Array,
    kernel: Sequence[int],
    stride: Sequence[int] = (),
    padding: Sequence[int] = (0,),
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor: int | None = None,
) -> Array:
    windows = _windows(x, kernel, stride, padding, (1,), ceil_mode)
    total = jnp.sum(windows.gather(x, 0), axis=2)
    y = total / _divisors(windows, count_include_pad, divisor).astype(x.dtype)
    return y.reshape(*x.shape[:2], *windows.sizes)


def _average_pool_backward(
    grad: Array,
    x: Array,
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    ceil_mode: bool,
    count_include_pad: bool,
    divisor: int | None,
) -> Array:
    windows = _windows(x, kernel, stride, padding, (1,), ceil_mode)
    divisors = _divisors(windows, count_include_pad, divisor).astype(x.dtype)
    shared = grad.reshape(*grad.shape[:2], -1) / divisors
    return jnp.sum(_take(shared, windows.output_of, 0), axis=2).reshape(x.shape)


def _max_pool(
    x: Array,
    kernel: Sequence[int],
    stride: Sequence[int] = (),
    padding: Sequence[int] = (0,),
    dilation: Sequence[int] = (1,),
    ceil_mode: bool = False,
) -> tuple[Array, Array]:
    """The largest value of each window, and its position in the flattened input."""
    windows = _windows(x, kernel, stride, padding, dilation, ceil_mode)
    is_real = jnp.issubdtype(x.dtype, jnp.floating)
    gathered = windows.gather(x, -math.inf if is_real else jnp.iinfo(x.dtype).min)
    largest = jnp.max(gathered, axis=2)
    offset = jnp.argmax(gathered, 2) if is_real else first_of(gathered, largest[:, :, None], 2)
    table = jnp.asarray(windows.input_of)
    where = table[offset, jnp.arange(table.shape[1])]
    shape = (*x.shape[:2], *windows.sizes)
    return largest.reshape(shape), where.reshape(shape)


def _max_pool_backward(
    grad: Array,
    x: Array,
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    ceil_mode: bool,
    indices: Array,
) -> Array:
    """Each gradient goes to the position its maximum came from."""
    windows = _windows(x, kernel, stride, padding, dilation, ceil_mode)
    flat = (*x.shape[:2], -1)
    came_from = _take(indices.reshape(flat), windows.output_of, -1)
    given = _take(grad.reshape(flat), windows.output_of, 0)
    mine = came_from == np.arange(windows.output_of.shape[1])
    return jnp.sum(jnp.where(mine, given, 0), axis=2).reshape(x.shape)


def _of_images(rank: int, arrays: int, function: Lowering) -> Lowering:
    """A function of (N, C, *spatial), so many of its arguments, for those without N, too."""

    def lowered(*args: Any, **named: Any) -> Any:
        if args[arrays - 1].ndim == rank + 2:
            return function(*args, **named)
        found = function(*(x[None] for x in args[:arrays]), *args[arrays:], **named)
        return jax.tree.map(lambda x: x[0], found)

    return lowered


def _im2col(
    x: Array,
    kernel: Sequence[int],
    dilation: Sequence[int],
    padding: Sequence[int],
    stride: Sequence[int],
) -> Array:
    """(N, C, H, W) to (N, C*K, L)."""
    gathered = _windows(x, kernel, stride, padding, dilation, False).gather(x, 0)
    return gathered.reshape(x.shape[0], -1, gathered.shape[-1])


im2col = _of_images(2, 1, _im2col)


def _pools(rank: int) -> dict[str, Lowering]:
    """Those over so many dimensions."""
    average, largest = f"aten.avg_pool{rank}d", f"aten.max_pool{rank}d_with_indices"
    return {
        f"{average}.default": _of_images(rank, 1, _average_pool),
        f"{average}_backward.default": _of_images(rank, 2, _average_pool_backward),
        f"{largest}.default": _of_images(rank, 1, _max_pool),
        f"{largest}_backward.default": _of_images(rank, 2, _max_pool_backward),
    }


TABLE: dict[str, Lowering] = {**_pools(2), **_pools(3), "aten.im2col.default": im2col}
