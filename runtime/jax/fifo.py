"""FIFOs on the device: a register for neighbours, a ring of fixed depth for longer ways."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ...compiler.plan.program import TensorSpec
from .ops.lower import jax_dtype

Array = Any


@dataclass(frozen=True)
class Fifo:
    """One value in per tick; values up to `reach` ticks old can be read.

    With reach 1 the buffer is the value of the tick before, read before this tick's push.
    Otherwise it is a ring of reach + 1 slots, read after this tick's push: that order lets XLA
    write in place, where the other would cost a copy of the ring. On a CPU a read is a branch: XLA
    would fuse a plain one with the push, and do the push twice, once in a copy of the ring. On
    other devices a branch makes the host wait for its condition.
    """

    spec: TensorSpec
    reach: int

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the buffer."""
        slots = () if self.reach <= 1 else (self.reach + 1,)
        return (*slots, *self.spec.shape)

    def empty(self) -> np.ndarray:
        """A buffer of zeros, on the host."""
        return np.zeros(self.shape, jax_dtype(self.spec.torch_dtype))

    def push(self, buffer: Array, value: Array, tick: Array) -> Array:
        """The buffer with this tick's value."""
        if self.reach <= 1:
            return value
        return lax.dynamic_update_index_in_dim(buffer, value, tick % (self.reach + 1), 0)

    def read(self, old: Array, new: Array, age: int, tick: Array) -> Array:
        """The value `age` >= 1 ticks old, from the buffer before (`old`) or after the push."""
        if self.reach <= 1:
            return old
        slot = (tick - age) % (self.reach + 1)
        if jax.default_backend() != "cpu":
            return self.at(new, slot)
        return lax.cond(tick >= age, self.at, self.nothing, new, slot)

    def at(self, buffer: Array, slot: Array) -> Array:
        """The value in a slot of the ring."""
        return lax.dynamic_index_in_dim(buffer, slot, 0, keepdims=False)

    def nothing(self, buffer: Array, slot: Array) -> Array:
        """What is read before anything was pushed: zeros."""
        return jnp.zeros(self.spec.shape, buffer.dtype)

    def values(self, buffer: np.ndarray, tick: int) -> dict[int, np.ndarray]:
        """What the buffer holds before tick `tick`, by age, from 1 to `reach`."""
        if self.reach <= 1:
            return {1: buffer}
        slots = buffer.reshape(self.reach + 1, *self.spec.shape)
        return {age: slots[(tick - age) % len(slots)] for age in range(1, self.reach + 1)}

    def filled(self, values: Mapping[int, np.ndarray], tick: int) -> np.ndarray:
        """The inverse of `values`; what no stage reads again is zero."""
        buffer = np.zeros(self.shape, jax_dtype(self.spec.torch_dtype))
        if self.reach <= 1:
            return values.get(1, buffer)
        slots = buffer.reshape(self.reach + 1, *self.spec.shape)
        for age in range(1, self.reach + 1):
            slots[(tick - age) % len(slots)] = values[age]
        return buffer


class FlatFifo(Fifo):
    """The same with a flat ring, which may lie in a buffer that is longer than it needs."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the buffer."""
        return self.spec.shape if self.reach <= 1 else ((self.reach + 1) * self.spec.elements,)

    def push(self, buffer: Array, value: Array, tick: Array) -> Array:
        """The buffer with this tick's value."""
        if self.reach <= 1:
            return value
        start = tick % (self.reach + 1) * self.spec.elements
        return lax.dynamic_update_slice(buffer, value.reshape(-1), (start,))

    def at(self, buffer: Array, slot: Array) -> Array:
        """The value in a slot of the ring."""
        start = slot * self.spec.elements
        return lax.dynamic_slice(buffer, (start,), (self.spec.elements,)).reshape(self.spec.shape)


def all_known(values: Sequence[Array], tick: Array) -> Array:
    """True, once all `values` are known.

    What is overwritten under this condition is overwritten in place: XLA copies an array of the
    loop's state unless it can see that nobody still reads it. No tick is below zero, but XLA does
    not know that.
    """
    never = tick < 0
    some = (value.reshape(-1)[0] > 0 for value in values if value.size)
    return ~sum((never & is_there for is_there in some), start=never)
