"""The masks of one parameter as pure functions; what every executor calls at its update ticks."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..errors import UserError
from .distributions import Distribution, kept_counts
from .group import SparsityGroup
from .initializers import INITIALIZERS, kept_count
from .room import TileRoom
from .select import Counts


@dataclass(frozen=True)
class MaskRule:
    """How the mask of parameter `name` begins and changes; all of it follows from `step`.

    `step` counts optimizer steps with finite gradients. `shapes` are those of the whole group,
    over which the distribution spreads the non-zeros. With `room` weights grow where it has any.
    """

    name: str
    group: SparsityGroup
    shapes: tuple[tuple[str, tuple[int, ...]], ...]
    room: TileRoom | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the parameter."""
        return dict(self.shapes)[self.name]

    @property
    def needs_gradient(self) -> bool:
        """Whether `update` looks at the dense gradient."""
        return self.group.gradient_window > 0

    @property
    def window(self) -> tuple[object, int]:
        """All that `collects` depends on."""
        return getattr(self.group, "update", None), self.group.gradient_window

    @property
    def needs_room(self) -> bool:
        """Whether weights grow only where a plan's tiles have room."""
        return getattr(self.group, "growth", "free") != "free"

    @property
    def keeps_pace(self) -> bool:
        """Whether no tile may hold more than the fullest of its plan."""
        return getattr(self.group, "growth", "free") == "pace"

    @property
    def refused(self) -> int:
        """Weights that did not grow for want of room, over all updates so far."""
        return 0 if self.room is None else sum(self.room.refused.values())

    @property
    def is_dynamic(self) -> bool:
        """Whether the mask ever changes."""
        return self.group.is_dynamic

    def due(self, step: int) -> bool:
        """Whether the mask is updated once `step` steps were made. Step 0 is the first mask."""
        return step > 0 and self.group.due(step)

    def until(self, step: int) -> int:
        """Steps from `step`, at least 1, to the next update; at least NEVER if none is left."""
        return int(self.group.until(step))

    def collects(self, step: Any, xp: Any = np) -> Any:
        """Whether the dense gradient of step number `step`, at least 1, counts for an update.

        `step` is an integer or an integer array of the namespace `xp`, numpy or jax.numpy.
        """
        return self.group.until(step, xp) < self.group.gradient_window

    def kept(self, step: int) -> Counts:
        """Weights that a mask made at `step` keeps, per balanced block."""
        blocks, sparsity = self.group.blocks, self.group.sparsity_at(step)
        if blocks.count > 1:
            sizes = blocks.sizes(self.shape)
            return np.array([kept_count(size, sparsity) for size in sizes], np.int64)
        counts = _spread(self.shapes, sparsity, self.group.distribution, self.group.power)
        return np.array([counts[self.name]], np.int64)

    def first_mask(self, weight: Tensor) -> Tensor:
        """Bool mask of the weight's shape on the CPU, True is kept.

        All True where training starts dense. Raises `UserError` for a weight without values if
        the init_method looks at them.
        """
        if self.group.starts_dense:
            return torch.ones(self.shape, dtype=torch.bool)
        make, blocks, seed = (
            INITIALIZERS[self.group.init_method],
            self.group.blocks,
            self.group.seed,
        )
        if blocks.count == 1:
            return make(self.name, weight, int(self.kept(0)[0]), seed)
        parts = enumerate(zip(blocks.chunks(weight), self.kept(0).tolist(), strict=True))
        masks = [make(f"{self.name}/{i}", part, kept, seed) for i, (part, kept) in parts]
        return blocks.concatenated(masks)

    def update(
        self,
        mask: NDArray[np.bool_],
        weight: NDArray[np.floating],
        gradient: NDArray[np.floating] | None,
        step: int,
    ) -> NDArray[np.bool_]:
        """The mask that follows `mask` at `step`; arrays of the parameter's shape.

        `gradient` is the dense gradient where `needs_gradient`. The result has exactly
        `kept(step)` True and depends on nothing but the arguments, the seed and the name. Raises
        `UserError` for growth that needs room and has none.
        """
        if self.needs_room and self.room is None:
            raise UserError(
                f"sparsity of '{self.name}': growth",
                expected="'free', or 'room' or 'pace' in a run of a plan, which has tiles",
                got=f"'{getattr(self.group, 'growth', 'free')}' without a plan",
                change="train a plan of the model (weft.train), or leave growth out",
            )
        split = self.group.blocks.split
        how = {} if self.room is None else {"grow": partial(self.room.grow, self.name, step)}
        new = self.group.next_mask(
            split(mask),
            split(weight),
            None if gradient is None else split(gradient),
            self.kept(step),
            step,
            _random_numbers(self.group.seed, self.name, step),
            **how,
        )
        if (new.sum(axis=1) != self.kept(step)).any():
            raise AssertionError(f"mask of {self.name} at step {step} keeps a wrong count")
        return self.group.blocks.join(new, self.shape)


@lru_cache(maxsize=256)
def _spread(
    shapes: tuple[tuple[str, tuple[int, ...]], ...],
    sparsity: float,
    distribution: Distribution,
    power: float,
) -> dict[str, int]:
    return kept_counts(dict(shapes), sparsity, distribution, power)


def _random_numbers(seed: int, name: str, step: int) -> np.random.Generator:
    digest = hashlib.sha256(f"{seed}/{name}/{step}".encode()).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest[:16], "big")))
