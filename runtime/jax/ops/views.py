"""ATen views, indexing and constructors as jax.numpy. Dtypes follow from the graph (lower.py)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp
from jax import lax

from .indexing import extent, scattered

Array = Any
Lowering = Callable[..., Any]


def _expand(x: Array, sizes: Sequence[int], **_: Any) -> Array:
    """A size of -1 keeps the dimension."""
    own = (1,) * (len(sizes) - x.ndim) + x.shape
    shape = [old if new == -1 else new for old, new in zip(own, sizes, strict=True)]
    return jnp.broadcast_to(x, shape)


def _squeeze(x: Array, dims: int | Sequence[int]) -> Array:
    """Dimensions that are not 1 stay, as in torch."""
    dims = (dims,) if isinstance(dims, int) else dims
    return jnp.squeeze(x, axis=tuple(dim for dim in dims if x.shape[dim] == 1))


def _slice(
    x: Array, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1
) -> Array:
    index = [slice(None)] * x.ndim
    index[dim] = slice(start, end, step)
    return x[tuple(index)]


def _select(x: Array, dim: int, index: int) -> Array:
    return jnp.take(x, index, axis=dim)


def _scatter(x: Array, dim: int, index: Array, source: Array) -> Array:
    return scattered(x, dim, index).set(source[extent(index)])


def _scatter_value(x: Array, dim: int, index: Array, value: float) -> Array:
    return scattered(x, dim, index).set(value)


def _pad(x: Array, pads: Sequence[int], value: float = 0.0) -> Array:
    """Pads come as (before, after) pairs from the last dimension backwards; negative ones cut."""
    edges = [(pads[i], pads[i + 1], 0) for i in range(0, len(pads), 2)]
    widths = [(0, 0, 0)] * (x.ndim - len(edges)) + edges[::-1]
    return lax.pad(x, jnp.asarray(value, x.dtype), widths)


def _embedding(weight: Array, indices: Array, *_: Any) -> Array:
    return jnp.take(weight, indices, axis=0)


def _embedding_backward(
    grad: Array, indices: Array, count: int, padding_index: int, _scale: bool
) -> Array:
    grad = jnp.where((indices == padding_index)[..., None], 0, grad)
    return jnp.zeros((count, grad.shape[-1]), grad.dtype).at[indices].add(grad)


def _index_put(
    x: Array, indices: Sequence[Array | None], values: Array, accumulate: bool = False
) -> Array:
    """Without an index a dimension is taken whole."""
    place = tuple(slice(None) if index is None else index for index in indices)
    return x.at[place].add(values) if accumulate else x.at[place].set(values)


def _bits(x: Array, dtype: Any) -> Array:
    """The last dimension is as many elements longer or shorter as the new type is narrower or
    wider."""
    to = jnp.dtype(str(dtype).removeprefix("torch."))
    if to.itemsize > x.dtype.itemsize:
        x = x.reshape(*x.shape[:-1], -1, to.itemsize // x.dtype.itemsize)
    found = lax.bitcast_convert_type(x, to)
    return found.reshape(*x.shape[:-1], -1) if found.ndim > x.ndim else found


TABLE: dict[str, Lowering] = {
    "aten.reshape.default": jnp.reshape,
    "aten.view.default": jnp.reshape,
    "aten._unsafe_view.default": jnp.reshape,
    "aten.view.dtype": _bits,
    "aten.permute.default": jnp.transpose,
    "aten.transpose.int": jnp.swapaxes,
    "aten.t.default": jnp.transpose,
    "aten.expand.default": _expand,
    "aten.unsqueeze.default": jnp.expand_dims,
    "aten.squeeze.dim": _squeeze,
    "aten.squeeze.dims": _squeeze,
    "aten.slice.Tensor": _slice,
    "aten.select.int": _select,
    "aten.cat.default": lambda arrays, dim=0: jnp.concatenate(arrays, axis=dim),
    "aten.flip.default": jnp.flip,
    "aten.constant_pad_nd.default": _pad,
    "aten.gather.default": lambda x, dim, index: jnp.take_along_axis(x, index, axis=dim),
    "aten.scatter.value": _scatter_value,
    "aten.scatter.src": _scatter,
    "aten.embedding.default": _embedding,
    "aten.embedding_dense_backward.default": _embedding_backward,
    "aten.index_put.default": _index_put,
    "aten.clone.default": lambda x, **_: x,
    "weft.local_loss.default": lambda y, _loss: y,
    "aten._to_copy.default": lambda x, **_: x,
    "aten.full.default": lambda sizes, value, **_: jnp.full(sizes, value),
    "aten.full_like.default": lambda x, value, **_: jnp.full(x.shape, value),
    "aten.scalar_tensor.default": lambda value, **_: jnp.asarray(value),
    "aten.arange.start_step": lambda start, end, step=1, **_: jnp.arange(start, end, step),
}
