"""Packs states of different shapes into equally shaped arrays: one SPMD program holds one each.

The n-th largest leaf of its kind and dtype of every shard's state shares a slot: an array of their
shape if they agree, else a flat one as long as the longest. Shards of equal layers fill their slots
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
    """Room for one leaf of each shard, in the shape it has on a device."""

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
class InSlot:
    """Where a leaf lies: of which shard, in which slot; and its shape and dtype."""

    shard: int
    slot: int
    leaf: Any


class SlotLayout:
    """Which leaf of which shard lies in which slot.

    `forms` are the states of the shards as trees of shapes and dtypes. `kinds` has a name for each
    of their leaves. Those of kind `RING` are used as they lie in their slot, at its full length.
    """

    def __init__(self, forms: Sequence[Tree], kinds: Sequence[Tree]) -> None:
        self._trees = [jax.tree.structure(form) for form in forms]
        self._leaves = [jax.tree.leaves(form) for form in forms]
        self._kinds = [jax.tree.leaves(kind) for kind in kinds]
        self.slots: list[Slot] = []
        self._slot_of = [[-1] * len(leaves) for leaves in self._leaves]
        sorts = {
            self._sort(shard, n) for shard, own in enumerate(self._leaves) for n in range(len(own))
        }
        for sort in sorted(sorts):
            self._add_slots(sort)

    def _sort(self, shard: int, leaf: int) -> tuple[str, str]:
        return self._kinds[shard][leaf], self._leaves[shard][leaf].dtype.name

    def _add_slots(self, sort: tuple[str, str]) -> None:
        ranked = [self._ranked(shard, sort) for shard in range(len(self._leaves))]
        for rank in range(max(map(len, ranked))):
            shapes = []
            for shard, own in enumerate(ranked):
                if rank < len(own):
                    self._slot_of[shard][own[rank]] = len(self.slots)
                    shapes.append(self._leaves[shard][own[rank]].shape)
            longest = max(1, *map(prod, shapes))
            shape = shapes[0] if len(set(shapes)) == 1 and shapes[0] else (longest,)
            self.slots.append(Slot(shape, jnp.dtype(sort[1])))

    def _ranked(self, shard: int, sort: tuple[str, str]) -> list[int]:
        """A shard's leaves of one sort, the largest first, those of equal shape together."""
        leaves = self._leaves[shard]
        own = [n for n in range(len(leaves)) if self._sort(shard, n) == sort]
        return sorted(own, key=lambda n: (-prod(leaves[n].shape), leaves[n].shape))

    def places(self, shard: int) -> Tree:
        """The place of every leaf of a shard's state."""
        places = [InSlot(shard, slot, leaf) for leaf, slot, _ in self._listed(shard)]
        return jax.tree.unflatten(self._trees[shard], places)

    def leaf_bytes(self, shard: int) -> int:
        """Bytes of a shard's own state, without what its slots leave empty."""
        return sum(prod(leaf.shape) * leaf.dtype.itemsize for leaf in self._leaves[shard])

    def unpack(self, shard: int, slots: Sequence[Array]) -> Tree:
        """A shard's state from its device's slots."""
        leaves = [
            slots[place] if kind == RING else taken(slots[place], leaf)
            for leaf, place, kind in self._listed(shard)
        ]
        return jax.tree.unflatten(self._trees[shard], leaves)

    def pack(self, shard: int, state: Tree, slots: Sequence[Array]) -> tuple[Array, ...]:
        """The slots with a shard's next state in them."""
        after = list(slots)
        for value, (leaf, place, kind) in zip(
            jax.tree.leaves(state), self._listed(shard), strict=True
        ):
            slot = self.slots[place]
            if kind == RING or prod(leaf.shape) == slot.elements:
                after[place] = value.reshape(slot.shape)
            else:
                after[place] = lax.dynamic_update_slice(after[place], value.reshape(-1), (0,))
        return tuple(after)

    def rows(self, shard: int, state: Tree) -> list[np.ndarray]:
        """What lies in each slot of a shard's device for a state of numpy arrays."""
        rows = [np.zeros(slot.shape, slot.dtype) for slot in self.slots]
        for value, place in zip(jax.tree.leaves(state), self._slot_of[shard], strict=True):
            rows[place].reshape(-1)[: value.size] = value.reshape(-1)
        return rows

    def state(self, shard: int, rows: Sequence[np.ndarray]) -> Tree:
        """The inverse of `rows`."""
        leaves = [taken(rows[place], leaf) for leaf, place, _ in self._listed(shard)]
        return jax.tree.unflatten(self._trees[shard], leaves)

    def _listed(self, shard: int) -> list[tuple[Any, int, str]]:
        kinds = self._kinds[shard]
        return list(zip(self._leaves[shard], self._slot_of[shard], kinds, strict=True))


def taken(slot: Array, leaf: Any) -> Array:
    """A leaf from the slot it lies in."""
    return (
        slot
        if slot.shape == leaf.shape
        else slot.reshape(-1)[: prod(leaf.shape)].reshape(leaf.shape)
    )
