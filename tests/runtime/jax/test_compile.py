"""Programs are compiled with products in full float32 and bfloat16 where it is asked for."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from weft.runtime.jax.compile import compile_program


def test_bfloat16_between_two_operators_is_rounded_to() -> None:
    """XLA may otherwise leave out a cast there and back."""

    def function(x):
        return (x.astype(jnp.bfloat16) * jnp.bfloat16(3)).astype(jnp.bfloat16) + jnp.bfloat16(1)

    x = np.linspace(0.1, 0.9, 64, dtype=np.float32)
    found = compile_program(jax.jit(function), jnp.asarray(x))(jnp.asarray(x))
    three = jnp.asarray(x).astype(jnp.bfloat16).astype(np.float32) * 3
    rounded = np.asarray(three).astype(jnp.bfloat16).astype(np.float32) + 1
    np.testing.assert_array_equal(np.asarray(found), rounded.astype(jnp.bfloat16))
