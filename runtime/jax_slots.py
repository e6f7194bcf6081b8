"""States of different forms in arrays of one form, so that one program can hold one per device.

The n-th largest leaf of every group's state, dtype by dtype, shares a slot: a flat array as long as
the longest of them. Groups of equal layers fill their slots exactly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

Array = Any
Tree = Any


@dataclass(frozen=True)
class Slot:
    """Room for one leaf of each group."""

    elements: int
    dtype: Any

    @property
    def size_bytes(self) -> int:
        """Bytes on each device."""
        return self.elements * jnp.dtype(self.dtype).itemsize


@dataclass(frozen=True)
class Place:
    """Where a leaf lies: of which group, in which slot; and its shape and dtype."""

    group: int
    slot: int
    leaf: Any


class Layout:
    """Which leaf of which group lies in which slot.

    `forms` are the states of the groups as trees of shapes and dtypes. `rings` has a bool for each
    of their leaves: rings are used as they lie in their slot, at its full length.
    """

    def __init__(self, forms: Sequence[Tree], rings: Sequence[Tree]) -> None:
        self._trees = [jax.tree.structure(form) for form in forms]
        self._leaves = [jax.tree.leaves(form) for form in forms]
        self._rings = [jax.tree.leaves(ring) for ring in rings]
        self.slots: list[Slot] = []
        self._slot_of = [[-1] * len(leaves) for leaves in self._leaves]
        for dtype in sorted({leaf.dtype for own in self._leaves for leaf in own}, key=str):
            self._add_slots(dtype)

    def _add_slots(self, dtype: Any) -> None:
        ranked = [
            sorted(
                (n for n, leaf in enumerate(leaves) if leaf.dtype == dtype),
                key=lambda n, leaves=leaves: -prod(leaves[n].shape),
            )
            for leaves in self._leaves
        ]
        for rank in range(max(map(len, ranked))):
            sizes = [1]
            for own, leaves, slot_of in zip(ranked, self._leaves, self._slot_of, strict=True):
                if rank < len(own):
                    slot_of[own[rank]] = len(self.slots)
                    sizes.append(prod(leaves[own[rank]].shape))
            self.slots.append(Slot(max(sizes), dtype))

    def places(self, group: int) -> Tree:
        """The place of every leaf of a group's state."""
        places = [Place(group, slot, leaf) for leaf, slot, _ in self._listed(group)]
        return jax.tree.unflatten(self._trees[group], places)

    def leaf_bytes(self, group: int) -> int:
        """Bytes of a group's own state, without what its slots leave empty."""
        return sum(prod(leaf.shape) * leaf.dtype.itemsize for leaf in self._leaves[group])

    def unpack(self, group: int, slots: Sequence[Array]) -> Tree:
        """A group's state from its device's slots."""
        leaves = [
            slots[place] if is_ring else taken(slots[place], leaf)
            for leaf, place, is_ring in self._listed(group)
        ]
        return jax.tree.unflatten(self._trees[group], leaves)

    def pack(self, group: int, state: Tree, slots: Sequence[Array]) -> tuple[Array, ...]:
        """The slots with a group's next state in them."""
        after = list(slots)
        for value, (leaf, place, is_ring) in zip(
            jax.tree.leaves(state), self._listed(group), strict=True
        ):
            is_full = is_ring or prod(leaf.shape) == self.slots[place].elements
            flat = value.reshape(-1)
            after[place] = flat if is_full else lax.dynamic_update_slice(after[place], flat, (0,))
        return tuple(after)

    def rows(self, group: int, state: Tree) -> list[np.ndarray]:
        """What lies in each slot of a group's device for a state of numpy arrays."""
        rows = [np.zeros(slot.elements, slot.dtype) for slot in self.slots]
        for value, place in zip(jax.tree.leaves(state), self._slot_of[group], strict=True):
            rows[place][: value.size] = value.reshape(-1)
        return rows

    def state(self, group: int, rows: Sequence[np.ndarray]) -> Tree:
        """The inverse of `rows`."""
        leaves = [taken(rows[place], leaf) for leaf, place, _ in self._listed(group)]
        return jax.tree.unflatten(self._trees[group], leaves)

    def _listed(self, group: int) -> list[tuple[Any, int, bool]]:
        rings = self._rings[group]
        return list(zip(self._leaves[group], self._slot_of[group], rings, strict=True))


def taken(slot: Array, leaf: Any) -> Array:
    """A leaf from the slot it lies in."""
    return slot[: prod(leaf.shape)].reshape(leaf.shape)
