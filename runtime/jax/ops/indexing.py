"""More of ATen's views, copies and constructors. What torch leaves unset is zero here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

Array = Any
Lowering = Callable[..., Any]


def _as_strided(
    x: Array, sizes: Sequence[int], strides: Sequence[int], offset: int | None = None
) -> Array:
    """Strides are those of a contiguous x, which is what a functional graph hands over."""
    index = np.full((1,) * len(sizes), offset or 0)
    for axis, (size, stride) in enumerate(zip(sizes, strides, strict=True)):
        shape = [1] * len(sizes)
        shape[axis] = size
        index = index + (np.arange(size) * stride).reshape(shape)
    return x.reshape(-1)[index]


def _index(x: Array, indices: Sequence[Array | None]) -> Array:
    """Without an index a dimension is taken whole."""
    return x[tuple(slice(None) if index is None else index for index in indices)]


def place(x: Array, dim: int, chosen: Any) -> tuple[Any, ...]:
    """The index that takes `chosen` of one dimension and all of the others."""
    index: list[Any] = [slice(None)] * x.ndim
    index[dim] = chosen
    return tuple(index)


def _index_select(x: Array, dim: int, index: Array) -> Array:
    return jnp.take(x, index, axis=dim) if x.ndim else x


def _slice_scatter(
    x: Array,
    source: Array,
    dim: int = 0,
    start: int | None = None,
    end: int | None = None,
    step: int = 1,
) -> Array:
    return x.at[place(x, dim, slice(start, end, step))].set(source)


def _select_scatter(x: Array, source: Array, dim: int, index: int) -> Array:
    return x.at[place(x, dim, index)].set(source)


def _diagonal_scatter(
    x: Array, source: Array, offset: int = 0, dim1: int = 0, dim2: int = 1
) -> Array:
    plane = jnp.moveaxis(x, (dim1, dim2), (-2, -1))
    count = source.shape[-1]
    rows = np.arange(count) + max(-offset, 0)
    columns = np.arange(count) + max(offset, 0)
    return jnp.moveaxis(plane.at[..., rows, columns].set(source), (-2, -1), (dim1, dim2))


def _as_strided_scatter(
    x: Array,
    source: Array,
    sizes: Sequence[int],
    strides: Sequence[int],
    offset: int | None = None,
) -> Array:
    places = _as_strided(np.arange(x.size), sizes, strides, offset)
    return x.reshape(-1).at[places].set(source).reshape(x.shape)


def _scatter_add(x: Array, dim: int, index: Array, source: Array) -> Array:
    return scattered(x, dim, index).add(source[extent(index)])


def scattered(x: Array, dim: int, index: Array) -> Any:
    """The places of x that ATen's scatters write: at `index` in `dim`, in order elsewhere."""
    places: list[Any] = list(jnp.ogrid[extent(index)])
    places[dim] = index
    return x.at[tuple(places)]


def extent(index: Array) -> tuple[slice, ...]:
    """The part of a scatter's source that is used: it may be larger than the index."""
    return tuple(slice(n) for n in index.shape)


def _split(x: Array, size: int | Sequence[int], dim: int = 0) -> list[Array]:
    """Pieces of one size, the last smaller, or of the sizes given."""
    if isinstance(size, int):
        cuts = list(range(size, x.shape[dim], size))
    else:
        cuts = np.cumsum(size)[:-1].tolist()
    return jnp.split(x, cuts, axis=dim)


def _unbind(x: Array, dim: int = 0) -> list[Array]:
    return [jnp.take(x, n, axis=dim) for n in range(x.shape[dim])]


def _roll(x: Array, shifts: Sequence[int], dims: Sequence[int] = ()) -> Array:
    """Without dims there is one shift, of the flattened tensor."""
    return jnp.roll(x, tuple(shifts), axis=tuple(dims)) if dims else jnp.roll(x, shifts[0])


def _pad(mode: str) -> Lowering:
    """Pads come as (before, after) pairs from the last dimension backwards."""

    def lowered(x: Array, pads: Sequence[int]) -> Array:
        pairs = [(pads[n], pads[n + 1]) for n in range(0, len(pads), 2)]
        return jnp.pad(x, [(0, 0)] * (x.ndim - len(pairs)) + pairs[::-1], mode=mode)

    return lowered


def _repeat(x: Array, counts: Sequence[int]) -> Array:
    return jnp.tile(x.reshape((1,) * (len(counts) - x.ndim) + x.shape), tuple(counts))


TABLE: dict[str, Lowering] = {
    "aten.alias.default": lambda x: x,
    "aten.detach.default": lambda x: x,
    "aten.copy.default": lambda x, source, *_: jnp.broadcast_to(source, x.shape),
    "aten.as_strided.default": _as_strided,
    "aten.diagonal.default": lambda x, offset=0, a=0, b=1: jnp.diagonal(x, offset, a, b),
    "aten.index.Tensor": _index,
    "aten.index_select.default": _index_select,
    "aten.as_strided_scatter.default": _as_strided_scatter,
    "aten.diagonal_scatter.default": _diagonal_scatter,
    "aten.slice_scatter.default": _slice_scatter,
    "aten.select_scatter.default": _select_scatter,
    "aten.scatter_add.default": _scatter_add,
    "aten.split.Tensor": _split,
    "aten.split_with_sizes.default": _split,
    "aten.unbind.int": _unbind,
    "aten.stack.default": lambda arrays, dim=0: jnp.stack(arrays, axis=dim),
    "aten.squeeze.default": jnp.squeeze,
    "aten.repeat.default": _repeat,
    "aten.roll.default": _roll,
    "aten.tril.default": jnp.tril,
    "aten.triu.default": jnp.triu,
    "aten.reflection_pad1d.default": _pad("reflect"),
    "aten.reflection_pad2d.default": _pad("reflect"),
    "aten.replication_pad2d.default": _pad("edge"),
    "aten.arange.default": lambda end, **_: jnp.arange(end),
    "aten.fill.Scalar": lambda x, value: jnp.full(x.shape, value),
    "aten.zeros.default": lambda sizes, **_: jnp.zeros(sizes),
    "aten.ones.default": lambda sizes, **_: jnp.ones(sizes),
    "aten.zeros_like.default": lambda x, **_: jnp.zeros(x.shape),
    "aten.ones_like.default": lambda x, **_: jnp.ones(x.shape),
    "aten.new_full.default": lambda _x, sizes, value, **_: jnp.full(sizes, value),
    "aten.new_zeros.default": lambda _x, sizes, **_: jnp.zeros(sizes),
    "aten.new_ones.default": lambda _x, sizes, **_: jnp.ones(sizes),
    "aten.new_empty.default": lambda _x, sizes, **_: jnp.zeros(sizes),
    "aten.empty.memory_format": lambda sizes, **_: jnp.zeros(sizes),
    "aten.empty_like.default": lambda x, **_: jnp.zeros(x.shape),
    "aten.empty_permuted.default": lambda sizes, *_, **__: jnp.zeros(sizes),
    "aten.empty_strided.default": lambda sizes, *_, **__: jnp.zeros(sizes),
}
