"""Products that are added up, and kept, in at least float32.

What is narrower is rounded once, by the caller, after a bias is added: so does torch.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

Array = Any


def wide_type(x: Array) -> Any:
    """The type that products of `x` are added up in: of whole numbers their own, which wraps."""
    whole = jnp.issubdtype(x.dtype, jnp.integer)
    return x.dtype if whole else jnp.promote_types(x.dtype, jnp.float32)


def in_order(left: Array) -> Array:
    """The left factor of a product, stored with what is summed over as its last axis on a CPU.

    Given a transpose XLA sums over the first axis of what lies there, by a slower kernel: 46
    GFLOP/s for the gradient of a weight of 1024 x 256 from 64 rows, 71 with the transpose stored.
    """
    return lax.optimization_barrier(left) if jax.default_backend() == "cpu" else left


def wide_contraction(a: Array, b: Array, dimensions: Any) -> Array:
    """`lax.dot_general`; the CPU has no kernel for narrow factors of a wide product."""
    wide = wide_type(a)
    if jax.default_backend() == "cpu":
        a, b = a.astype(wide), b.astype(wide)
    return lax.dot_general(a, b, dimensions, preferred_element_type=wide)


def wide_matmul(a: Array, b: Array) -> Array:
    """a @ b, with the broadcasting of numpy."""
    wide = wide_type(a)
    if jax.default_backend() == "cpu":
        a, b = a.astype(wide), b.astype(wide)
    return jnp.matmul(a, b, preferred_element_type=wide)
