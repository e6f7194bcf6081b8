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


def test_a_value_is_made_soon_before_it_is_read() -> None:
    """Each of 16 products is summed before the next is made: never are all of them there."""

    def function(x, weights):
        products = [jnp.tanh(x @ weights[number]) for number in range(16)]
        return sum((own @ weights[n]).sum() for n, own in enumerate(products))

    x, weights = jnp.zeros((256, 256)), jnp.zeros((16, 256, 256))
    program = compile_program(jax.jit(function), x, weights)
    assert program.memory_analysis().temp_size_in_bytes <= 2 * x.nbytes
