"""Growth only where a tile of the machine has room."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ..errors import UserError
from .select import WORST, BoolMask, Counts, Scores, grow_highest, highest


@dataclass(frozen=True)
class TileRoom:
    """The tiles of one weight, and how many non-zeros each may hold.

    A tile is a slice of `splits[0]` of the rows and of `splits[1]` of the columns (the first two
    axes of the weight), with all that follows. `refused` counts, by step, the weights that would
    have grown and had no room.
    """

    shape: tuple[int, ...]
    splits: tuple[int, int]
    capacity: int
    refused: dict[int, int] = field(default_factory=dict, compare=False)

    @cached_property
    def tiles(self) -> NDArray[np.int64]:
        """The number of each element's tile, flat."""
        rows, columns = (
            np.arange(size) // -(-size // split)
            for size, split in zip(self.shape[:2], self.splits, strict=True)
        )
        pairs = rows[:, None] * (int(columns[-1]) + 1) + columns
        taps = int(np.prod(self.shape[2:], dtype=np.int64))
        return np.repeat(pairs.reshape(-1), taps)

    def grow(
        self, name: str, step: int, stay: BoolMask, scores: Scores, counts: Counts
    ) -> BoolMask:
        """As `grow_highest`, of one block, but the highest of each tile while it has room.

        Raises `UserError` if all tiles together have too little.
        """
        left = self._left(stay[0])
        able = ~stay & self._first(np.where(stay[0], np.inf, -scores[0]), left)[None]
        missing = np.maximum(counts - stay.sum(axis=1), 0)
        if int(able.sum()) < int(missing[0]):
            raise UserError(
                f"growth of '{name}' at step {step}",
                expected=f"room for {int(missing[0])} weights in tiles of {self.capacity}",
                got=f"room for {int(able.sum())}",
                change="compile with more PEs or a lower sparsity in mind, or let growth be free",
            )
        new = stay | highest(np.where(able, scores, WORST), missing)
        free = grow_highest(stay, scores, counts)
        self.refused[step] = int((free & ~new).sum())
        return new

    def _left(self, stay: NDArray[np.bool_]) -> NDArray[np.int64]:
        held = np.bincount(self.tiles[stay], minlength=int(self.tiles[-1]) + 1)
        return np.maximum(self.capacity - held, 0)

    def _first(self, costs: NDArray[np.floating], left: NDArray[np.int64]) -> NDArray[np.bool_]:
        """The `left[t]` elements of each tile t with the lowest costs, by index where equal."""
        order = np.lexsort((costs, self.tiles))
        tiles = self.tiles[order]
        begins = np.searchsorted(tiles, np.arange(len(left)))
        chosen = np.empty(len(order), np.bool_)
        chosen[order] = np.arange(len(order)) - begins[tiles] < left[tiles]
        return chosen
