"""Factorizations of a batch of matrices as a loop over the matrices, on a CPU.

jaxlib's own kernels for a batch hand its parts to the threads that XLA computes with, and wait for
them on one of these threads. When as many of them wait as there are threads, none is left to do the
parts, and the program never ends: two factorizations side by side on two cores. A single matrix is
done by the thread that asks for it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
from jax import lax

Array = Any


def one_by_one(function: Callable[..., Any], *arrays: Array, ranks: Sequence[int] = ()) -> Any:
    """`function` of arrays with equal leading dimensions, and under `jax.vmap`, row by row.

    `ranks` has the dimensions of an array of one row; 2 each by default.
    """
    if jax.default_backend() != "cpu":
        return function(*arrays)
    single = jax.custom_batching.sequential_vmap(lambda *rows: function(*rows))  # no defaults
    own = ranks or [2] * len(arrays)
    shapes = [a.shape[a.ndim - rank :] for a, rank in zip(arrays, own, strict=True)]
    batch = arrays[0].shape[: arrays[0].ndim - own[0]]
    if not batch:
        return single(*arrays)
    rows = [a.reshape(-1, *shape) for a, shape in zip(arrays, shapes, strict=True)]
    found = lax.map(lambda row: single(*row), tuple(rows))
    return jax.tree.map(lambda x: x.reshape(*batch, *x.shape[1:]), found)
