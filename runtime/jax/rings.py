"""The FIFOs of a class of stages as one buffer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ...compiler.plan.program import TensorSpec
from .fifo import Fifo
from .ops.lower import jax_dtype

Array = Any


@dataclass(frozen=True)
class Rings:
    """One value per tick for each of several FIFOs; of the n-th up to `reach[n]` ticks old ones.

    Where no reach is above 1 the buffer has the last value of each: a row per FIFO, read before
    this tick's push. Otherwise their rings of reach + 1 slots lie one behind the other, and are
    read after the push.
    """

    spec: TensorSpec
    reach: tuple[int, ...]

    @property
    def are_registers(self) -> bool:
        """Whether the buffer holds the last value of each only."""
        return max(self.reach) <= 1

    @cached_property
    def depths(self) -> np.ndarray:
        """Slots of each FIFO."""
        return np.array([1 if self.are_registers else r + 1 for r in self.reach], np.int32)

    @cached_property
    def starts(self) -> np.ndarray:
        """The first slot of each FIFO."""
        return (np.cumsum(self.depths) - self.depths).astype(np.int32)

    def empty(self) -> np.ndarray:
        """A buffer of zeros, on the host."""
        shape = (int(self.depths.sum()), *self.spec.shape)
        return np.zeros(shape, jax_dtype(self.spec.torch_dtype))

    def push(self, buffer: Array, values: Array, tick: Array) -> Array:
        """The buffer with this tick's values, a row for each FIFO.

        On a CPU by a loop, which XLA neither fuses with what reads the buffer nor unrolls.
        """
        if self.are_registers:
            return values
        slots = self.starts + lax.rem(jnp.broadcast_to(tick, self.depths.shape), self.depths)
        if jax.default_backend() != "cpu":
            return buffer.at[slots].set(values, mode="promise_in_bounds", unique_indices=True)

        def body(number: Array, buffer: Array) -> Array:
            row, slot = _rows(values, number), _rows(slots, number)[0]
            return lax.dynamic_update_slice(
                buffer, row, _start(buffer, slot), allow_negative_indices=False
            )

        return lax.fori_loop(0, len(self.reach), body, buffer)

    def read(
        self, buffer: Array, members: Sequence[int], ages: Sequence[int], tick: Array
    ) -> Array:
        """A row for each of `members`: its value of that age, at least 1."""
        if self.are_registers:
            return _chosen(buffer, members)
        depths = self.depths[list(members)]
        back = depths - np.array(ages, np.int32)
        slots = self.starts[list(members)] + lax.rem(tick + back, depths)
        return buffer.at[slots].get(
            mode="promise_in_bounds", unique_indices=True, wrap_negative_indices=False
        )

    def read_apart(
        self, buffer: Array, members: Sequence[int], ages: Sequence[int], tick: Array
    ) -> Array:
        """The same; on a CPU in a branch, which XLA fuses with nothing, so it reads once."""
        if self.are_registers or jax.default_backend() != "cpu":
            return self.read(buffer, members, ages, tick)
        shape = (len(members), *self.spec.shape)
        return lax.cond(
            tick >= 0,
            lambda buffer: self.read(buffer, members, ages, tick),
            lambda buffer: jnp.zeros(shape, buffer.dtype),
            buffer,
        )

    def held(self, buffer: np.ndarray, member: int, fifo: Fifo, tick: int) -> np.ndarray:
        """What the buffer holds of one FIFO before tick `tick`, as that FIFO alone would."""
        own = self._own(buffer, member)
        return own if fifo.reach > 1 else own[(tick - 1) % len(own)]

    def hold(
        self, buffer: np.ndarray, member: int, fifo: Fifo, held: np.ndarray, tick: int
    ) -> None:
        """The inverse of `held`, into the buffer."""
        own = self._own(buffer, member)
        if fifo.reach > 1:
            own[...] = held
        else:
            own[(tick - 1) % len(own)] = held

    def _own(self, buffer: np.ndarray, member: int) -> np.ndarray:
        start = self.starts[member]
        return buffer[start : start + self.depths[member]]


def _start(array: Array, row: Array) -> tuple[Array | int, ...]:
    """Of one type, also where jax counts in 64 bits."""
    return (row, *(jnp.zeros_like(row) for _ in array.shape[1:]))


def _rows(array: Array, row: Array) -> Array:
    """The row, as an array of one."""
    sizes = (1, *array.shape[1:])
    return lax.dynamic_slice(array, _start(array, row), sizes, allow_negative_indices=False)


def _chosen(array: Array, rows: Sequence[int]) -> Array:
    """Rows that lie side by side are a slice, all of them the array."""
    first = rows[0]
    if list(rows) == list(range(first, first + len(rows))):
        return array[first : first + len(rows)]
    return jnp.stack([array[row] for row in rows])
