"""States of different forms in arrays of one form, so that one program can hold one per device.

The n-th largest leaf of its kind and dtype of every group's state shares a slot: an array of their
shape if they agree, else a flat one as long as the longest. Groups of equal layers fill their slots
exactly, and so are updated in place; a leaf in a longer slot costs a copy of it.
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
RING = "ring"


@dataclass(frozen=True)
class Slot:
    """Room for one leaf of each group, in the shape it has on a device."""

    shape: tuple[int, ...]
    dtype: Any

    @property
    def elements(self) -> int:
        """Elements on each device."""
        return prod(self.shape)

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

    `forms` are the states of the groups as trees of shapes and dtypes. `kinds` has a name for each
    of their leaves. Those of kind `RING` are used as they lie in their slot, at its full length.
    """

    def __init__(self, forms: Sequence[Tree], kinds: Sequence[Tree]) -> None:
        self._trees = [jax.tree.structure(form) for form in forms]
        self._leaves = [jax.tree.leaves(form) for form in forms]
        self._kinds = [jax.tree.leaves(kind) for kind in kinds]
        self.slots: list[Slot] = []
        self._slot_of = [[-1] * len(leaves) for leaves in self._leaves]
        sorts = {
            self._sort(group, n) for group, own in enumerate(self._leaves) for n in range(len(own))
        }
        for sort in sorted(sorts):
            self._add_slots(sort)

    def _sort(self, group: int, leaf: int) -> tuple[str, str]:
        return self._kinds[group][leaf], self._leaves[group][leaf].dtype.name

    def _add_slots(self, sort: tuple[str, str]) -> None:
        ranked = [self._ranked(group, sort) for group in range(len(self._leaves))]
        for rank in range(max(map(len, ranked))):
            shapes = []
            for group, own in enumerate(ranked):
                if rank < len(own):
                    self._slot_of[group][own[rank]] = len(self.slots)
                    shapes.append(self._leaves[group][own[rank]].shape)
            longest = max(1, *map(prod, shapes))
            shape = shapes[0] if len(set(shapes)) == 1 and shapes[0] else (longest,)
            self.slots.append(Slot(shape, jnp.dtype(sort[1])))

    def _ranked(self, group: int, sort: tuple[str, str]) -> list[int]:
        """A group's leaves of one sort, the largest first, those of equal shape together."""
        leaves = self._leaves[group]
        own = [n for n in range(len(leaves)) if self._sort(group, n) == sort]
        return sorted(own, key=lambda n: (-prod(leaves[n].shape), leaves[n].shape))

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
            slots[place] if kind == RING else taken(slots[place], leaf)
            for leaf, place, kind in self._listed(group)
        ]
        return jax.tree.unflatten(self._trees[group], leaves)

    def pack(self, group: int, state: Tree, slots: Sequence[Array]) -> tuple[Array, ...]:
        """The slots with a group's next state in them."""
        after = list(slots)
        for value, (leaf, place, kind) in zip(
            jax.tree.leaves(state), self._listed(group), strict=True
        ):
            slot = self.slots[place]
            if kind == RING or prod(leaf.shape) == slot.elements:
                after[place] = value.reshape(slot.shape)
            else:
                after[place] = lax.dynamic_update_slice(after[place], value.reshape(-1), (0,))
        return tuple(after)

    def rows(self, group: int, state: Tree) -> list[np.ndarray]:
        """What lies in each slot of a group's device for a state of numpy arrays."""
        rows = [np.zeros(slot.shape, slot.dtype) for slot in self.slots]
        for value, place in zip(jax.tree.leaves(state), self._slot_of[group], strict=True):
            rows[place].reshape(-1)[: value.size] = value.reshape(-1)
        return rows

    def state(self, group: int, rows: Sequence[np.ndarray]) -> Tree:
        """The inverse of `rows`."""
        leaves = [taken(rows[place], leaf) for leaf, place, _ in self._listed(group)]
        return jax.tree.unflatten(self._trees[group], leaves)

    def _listed(self, group: int) -> list[tuple[Any, int, str]]:
        kinds = self._kinds[group]
        return list(zip(self._leaves[group], self._slot_of[group], kinds, strict=True))


def taken(slot: Array, leaf: Any) -> Array:
    """A leaf from the slot it lies in."""
    return (
        slot
        if slot.shape == leaf.shape
        else slot.reshape(-1)[: prod(leaf.shape)].reshape(leaf.shape)
    )
