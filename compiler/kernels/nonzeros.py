"""Non-zero weights per tile: counted in a real mask, or expected of a random one.

Every weight is seen as (out features, in features, taps): a linear layer has one tap, a
convolution one per kernel position. A tile is a slice of out features times a slice of in
features with all its taps.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from statistics import NormalDist

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ..machine.arrays import Ints, ceil_div


@dataclass(frozen=True)
class WeightTiles:
    """Where the non-zeros of one weight are.

    `counts` (out, in) holds the non-zeros over the taps of each pair of features; without it the
    non-zeros are `density` of all weights, at random or, if `is_even`, everywhere alike.
    """

    out_features: int
    in_features: int
    taps: int
    density: float = 1.0
    counts: NDArray[np.integer] | None = None
    is_even: bool = False
    _cache: dict[tuple[int, int], int] = field(
        default_factory=dict, init=False, compare=False, repr=False
    )
    _sums: dict[str, _PrefixSums] = field(
        default_factory=dict, init=False, compare=False, repr=False
    )

    @property
    def dense(self) -> int:
        return self.out_features * self.in_features * self.taps

    @property
    def pairs(self) -> int:
        """Pairs of an out and an in feature."""
        return self.out_features * self.in_features

    @cached_property
    def total(self) -> int:
        """Non-zeros in all."""
        if self.counts is not None:
            return int(self.counts.sum(dtype=np.int64))
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
        if self.counts is not None:
            self._sum_up(distinct[:, 1], distinct[:, 0])
        values = np.array([self._tile_max(int(i), int(o)) for i, o in distinct], np.int64)
        return values[inverse.reshape(-1)]

    def _tile_max(self, in_split: int, out_split: int) -> int:
        key = (in_split, out_split)
        if key not in self._cache:
            self._cache[key] = (
                self._sums_for(in_split, out_split).largest(*self._ends_of(in_split, out_split))
                if self.counts is not None
                else self._expected_maximum(in_split, out_split)
            )
        return self._cache[key]

    def tile_counts(self, in_split: int, out_split: int) -> NDArray[np.int64]:
        """Non-zeros of every tile, (out slices, in slices). Needs a mask."""
        ends = self._ends_of(in_split, out_split)
        return self._sums_for(in_split, out_split).of(*ends)

    def _ends_of(self, in_split: int, out_split: int) -> tuple[Ints, Ints]:
        return _slice_ends(self.out_features, out_split), _slice_ends(self.in_features, in_split)

    def _sums_for(self, in_split: int, out_split: int) -> _PrefixSums:
        self._sum_up(np.array([out_split]), np.array([in_split]))
        return self._sums["all"]

    def _sum_up(self, out_splits: Ints, in_splits: Ints) -> None:
        """One pass over the mask for all slices of these splits, unless there was one."""
        if self.counts is None:
            raise TypeError("tile_counts needs a mask")
        rows, columns = _ends(self.out_features, out_splits), _ends(self.in_features, in_splits)
        known = self._sums.get("all")
        if known is not None and known.has(rows, columns):
            return
        if known is not None:
            rows, columns = np.union1d(rows, known.rows), np.union1d(columns, known.columns)
        self._sums["all"] = _sums(self.counts, rows, columns)

    def _expected_maximum(self, in_split: int, out_split: int) -> int:
        size = int(self.tile_size(np.int64(in_split), np.int64(out_split)))  # type: ignore[arg-type]
        if self.is_even:
            return min(int(round(size * self.density, 6)), self.total)
        tiles = in_split * out_split
        expected = expected_extreme(size, self.density, tiles)
        return min(max(expected, -(-self.total // tiles)), self.total)


def expected_extreme(size: int, density: float, tiles: int, *, least: bool = False) -> int:
    """Expected largest, or least, of so many binomial counts: a normal order statistic (Blom 1958),
    bent by the counts' skewness (Cornish and Fisher 1938)."""
    quantile = NormalDist().inv_cdf((tiles - 0.375) / (tiles + 0.25)) * (-1 if least else 1)
    deviation = (size * density * (1 - density)) ** 0.5
    skew = (1 - 2 * density) * (quantile**2 - 1) / 6
    return min(size, max(0, round(size * density + quantile * deviation + skew)))


@dataclass(frozen=True)
class _PrefixSums:
    """Sums of the counts before each of `rows` and before each of `columns`, (rows, columns)."""

    rows: Ints
    columns: Ints
    sums: NDArray[np.int64]

    def has(self, rows: Ints, columns: Ints) -> bool:
        """Whether all these ends are known."""
        return bool(np.isin(rows, self.rows).all() and np.isin(columns, self.columns).all())

    def of(self, rows: Ints, columns: Ints) -> NDArray[np.int64]:
        """The sums between these successive ends."""
        at = np.searchsorted(self.rows, rows)[:, None], np.searchsorted(self.columns, columns)
        return np.diff(np.diff(self.sums[at], axis=0, prepend=0), axis=1, prepend=0)

    def largest(self, rows: Ints, columns: Ints) -> int:
        """The largest of them, without an array of all."""
        at = np.searchsorted(self.rows, rows), np.searchsorted(self.columns, columns)
        return int(_largest(self.sums, *at))


@njit(cache=True)
def _largest(sums: NDArray[np.int64], rows: Ints, columns: Ints) -> int:
    above = np.zeros(len(columns) + 1, np.int64)
    found = 0
    for row in rows:
        before = 0
        for number, column in enumerate(columns):
            so_far = sums[row, column]
            found = max(found, so_far - before - (above[number + 1] - above[number]))
            above[number] = before
            before = so_far
        above[len(columns)] = before
    return found


def _sums(counts: NDArray[np.integer], rows: Ints, columns: Ints) -> _PrefixSums:
    if counts.flags.f_contiguous and not counts.flags.c_contiguous:
        other = _sums(counts.T, columns, rows)
        return _PrefixSums(rows, columns, np.ascontiguousarray(other.sums.T))
    sums = np.empty((len(rows), len(columns)), np.int64)
    running = np.zeros(counts.shape[1], np.int64)
    begin = 0
    for number, end in enumerate(rows):
        running += np.add.reduce(counts[begin:end], axis=0, dtype=np.int32)
        sums[number] = np.cumsum(running)[columns - 1]
        begin = end
    return _PrefixSums(rows, columns, sums)


def _slice_ends(size: int, split: int) -> Ints:
    length = -(-size // split)
    return np.minimum(np.arange(length, size + length, length), size)


def _ends(size: int, splits: Ints) -> Ints:
    """The ends of the slices of every split."""
    return np.unique(np.concatenate([_slice_ends(size, int(s)) for s in np.unique(splits)]))


def count_mask(mask: NDArray[np.bool_], in_axis: int) -> NDArray[np.integer]:
    """Non-zeros per (out, in) pair of a weight mask whose first two axes are features.

    A view of the mask if there is one tap.
    """
    taps = mask.reshape(*mask.shape[:2], -1)
    if taps.shape[2] == 1 and mask.dtype == np.bool_:
        counts = taps[:, :, 0].view(np.uint8)
    else:
        counts = np.count_nonzero(taps, axis=2)
    return counts if in_axis == 1 else counts.T
