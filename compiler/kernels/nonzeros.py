"""Non-zero weights per tile: counted in a real mask, or expected of a random one.

Every weight is seen as (out features, in features, taps): a linear layer has one tap, a
convolution one per kernel position. A tile is a slice of out features times a slice of in
features with all its taps.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from .tilings import Ints, ceil_div


@dataclass(frozen=True)
class WeightTiles:
    """Where the non-zeros of one weight are.

    `counts` (out, in) holds the non-zeros over the taps of each pair of features; without it the
    non-zeros are `density` of all weights, at random.
    """

    out_features: int
    in_features: int
    taps: int
    density: float = 1.0
    counts: NDArray[np.int64] | None = None
    _cache: dict[tuple[int, int], int] = field(default_factory=dict, compare=False, repr=False)

    @property
    def dense(self) -> int:
        return self.out_features * self.in_features * self.taps

    @property
    def pairs(self) -> int:
        """Pairs of an out and an in feature."""
        return self.out_features * self.in_features

    @property
    def total(self) -> int:
        """Non-zeros in all."""
        if self.counts is not None:
            return round(float(self.counts.sum()))
        return round(self.dense * self.density)

    @property
    def is_sparse(self) -> bool:
        return self.total < self.dense

    def tile_size(self, in_split: Ints, out_split: Ints) -> Ints:
        """Weights, zeros included, of the largest tile."""
        return (
            ceil_div(self.in_features, in_split)
            * ceil_div(self.out_features, out_split)
            * self.taps
        )

    def tile_max(self, in_split: Ints, out_split: Ints) -> Ints:
        """Non-zeros of the tile that has the most of them (expected value without a mask)."""
        if self.counts is None and self.density >= 1.0:
            return self.tile_size(in_split, out_split)
        pairs = np.stack([in_split, out_split], axis=1)
        distinct, inverse = np.unique(pairs, axis=0, return_inverse=True)
        values = np.array([self._tile_max(int(i), int(o)) for i, o in distinct], np.int64)
        return values[inverse.reshape(-1)]

    def _tile_max(self, in_split: int, out_split: int) -> int:
        key = (in_split, out_split)
        if key not in self._cache:
            self._cache[key] = (
                int(self.tile_counts(in_split, out_split).max())
                if self.counts is not None
                else self._expected_maximum(in_split, out_split)
            )
        return self._cache[key]

    def tile_counts(self, in_split: int, out_split: int) -> NDArray[np.int64]:
        """Non-zeros of every tile, (out slices, in slices). Needs a mask."""
        if self.counts is None:
            raise TypeError("tile_counts needs a mask")
        rows = _slice_starts(self.out_features, out_split)
        columns = _slice_starts(self.in_features, in_split)
        return np.add.reduceat(np.add.reduceat(self.counts, rows, axis=0), columns, axis=1)

    def _expected_maximum(self, in_split: int, out_split: int) -> int:
        """Expected largest of m binomial counts, as a normal order statistic (Blom 1958)."""
        size = int(self.tile_size(np.int64(in_split), np.int64(out_split)))  # type: ignore[arg-type]
        tiles = in_split * out_split
        quantile = NormalDist().inv_cdf((tiles - 0.375) / (tiles + 0.25))
        deviation = (size * self.density * (1 - self.density)) ** 0.5
        return min(size, round(size * self.density + quantile * deviation))


def _slice_starts(size: int, split: int) -> NDArray[np.int64]:
    return np.arange(0, size, -(-size // split))


def count_mask(mask: NDArray[np.bool_], in_axis: int) -> NDArray[np.int64]:
    """Non-zeros per (out, in) pair of a weight mask whose first two axes are features."""
    counts = np.count_nonzero(mask.reshape(*mask.shape[:2], -1), axis=2)
    return counts if in_axis == 1 else counts.T
