"""FeatureOrder the non-zeros of a weight over PE tiles by permuting its rows and columns.

A tile is a slice of rows times a slice of columns, as in `kernels/nonzeros.py`. The stage is as
slow as its fullest tile, so rows are exchanged between slices of rows, then columns, until every
tile is near the mean. The product is the same once inputs and outputs are permuted alike: x is
read as x[columns], y[rows] is written.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import ceil

import numpy as np
from numba import njit
from numpy.typing import NDArray

TileCounts = NDArray[np.integer]
Float32s = NDArray[np.float32]
FeatureNumbers = NDArray[np.int64]

_SWEEPS = 3
_WORK = 8e9
"""Multiply-adds of all sweeps over a small weight; about half a second of a processor."""
_WORK_A_ELEMENT = 500
"""Of a large one, so that time grows as the weight does; some 30 s for 10^9 elements."""
_POLISH_ROUNDS = 10
_WORST_TILES = 10
_PARTNERS = 12
_CANDIDATES = 8
_NO_ROW = np.float32(1e12)


@dataclass(frozen=True)
class Load:
    """Non-zeros per tile: the mean, and the fullest tile."""

    mean: float
    maximum: int

    @property
    def ratio(self) -> float:
        """maximum / mean: the time of the slowest tile against a perfect spread."""
        return self.maximum / self.mean if self.mean else 1.0


@dataclass(frozen=True)
class FeatureOrder:
    """Row r of the balanced weight is row `rows[r]` of the given one; columns alike."""

    rows: FeatureNumbers
    columns: FeatureNumbers
    before: Load
    after: Load

    @property
    def gain(self) -> float:
        """Time of the slowest tile before over after."""
        return self.before.maximum / self.after.maximum if self.after.maximum else 1.0


def balance(counts: NDArray, tiles: tuple[int, int], goal: float = 1.04) -> FeatureOrder:
    """Permute (rows, columns) of `counts` for `tiles` = (slices of rows, slices of columns).

    `counts` is a bool mask (rows, columns), or the non-zeros over the taps of a convolution. Works
    until the fullest tile is within `goal` of the mean, or no exchange found helps; of large
    weights (from some 10^7) pairs of slices meet once, not three times, or each slice meets a part
    of the others. The same input gives the same result.
    """
    weights = _Weights.of(counts)
    rows, columns = _slices(weights.shape[0], tiles[0]), _slices(weights.shape[1], tiles[1])
    start = rows.copy(), columns.copy()
    before = _load(_Side(weights, rows, columns))
    sweeps, share = _sweeps(weights.shape, tiles)
    for _ in range(sweeps):
        side = _Side(weights, rows, columns)
        if _load(side).ratio <= goal:
            break
        _exchange_pairs(side, share)
        _exchange_pairs(_Side(weights.transposed, columns, rows), share)
    _polish(weights, rows, columns, goal)
    after = _load(_Side(weights, rows, columns))
    if after.maximum >= before.maximum:
        (rows, columns), after = start, before
    return FeatureOrder(rows[rows >= 0], columns[columns >= 0], before, after)


def load(counts: NDArray, tiles: tuple[int, int]) -> Load:
    """Non-zeros per tile as the weight lies; `counts` and `tiles` as in `balance`."""
    weights = _Weights.of(counts)
    rows, columns = _slices(weights.shape[0], tiles[0]), _slices(weights.shape[1], tiles[1])
    return _load(_Side(weights, rows, columns))


def _sweeps(shape: tuple[int, int], tiles: tuple[int, int]) -> tuple[int, float]:
    """How many sweeps are made, and the share of its rounds that each of them has."""
    rows, columns = shape
    work = max(1, rows * rows * tiles[1] + columns * columns * tiles[0])
    most = max(_WORK, _WORK_A_ELEMENT * rows * columns)
    sweeps = max(1, min(_SWEEPS, int(most // work)))
    return sweeps, min(1.0, most / (sweeps * work))


@dataclass(frozen=True)
class _Weights:
    """Non-zeros (rows, columns), or, if it is turned, (columns, rows)."""

    counts: TileCounts
    is_turned: bool = False

    @classmethod
    def of(cls, counts: NDArray) -> _Weights:
        array = np.asarray(counts)
        array = array.view(np.uint8) if array.dtype == np.bool_ else array
        is_turned = array.flags.f_contiguous and not array.flags.c_contiguous
        return cls(np.ascontiguousarray(array.T if is_turned else array), is_turned)

    @property
    def shape(self) -> tuple[int, int]:
        first, second = self.counts.shape
        return (second, first) if self.is_turned else (first, second)

    @property
    def transposed(self) -> _Weights:
        return replace(self, is_turned=not self.is_turned)

    def sums(self, slices: FeatureNumbers) -> Float32s:
        """(rows, slices): non-zeros of every row in each slice of columns."""
        slice_of = np.zeros(self.shape[1], np.int64)
        for number, members in enumerate(slices):
            slice_of[members[members >= 0]] = number
        if self.is_turned:
            of_columns = _sums_of_columns(self.counts, slice_of, len(slices))
            return np.ascontiguousarray(of_columns.T, np.float32)
        return _sums_of_rows(self.counts, slice_of, len(slices)).astype(np.float32)


@njit(cache=True)
def _sums_of_rows(counts: TileCounts, slice_of: FeatureNumbers, slices: int) -> NDArray[np.int32]:
    """(rows, slices): sums of each row over the columns of each slice."""
    found = np.zeros((counts.shape[0], slices), np.int32)
    for row in range(counts.shape[0]):
        for column in range(counts.shape[1]):
            found[row, slice_of[column]] += counts[row, column]
    return found


@njit(cache=True)
def _sums_of_columns(
    counts: TileCounts, slice_of: FeatureNumbers, slices: int
) -> NDArray[np.int32]:
    """(slices, columns): sums of each column over the rows of each slice."""
    found = np.zeros((slices, counts.shape[1]), np.int32)
    for row in range(counts.shape[0]):
        own = found[slice_of[row]]
        for column in range(counts.shape[1]):
            own[column] += counts[row, column]
    return found


def _slices(size: int, split: int) -> FeatureNumbers:
    """Indices as (slices, length); -1 fills the last slice, where nothing lies."""
    length = -(-size // split)
    padded = np.full(-(-size // length) * length, -1, np.int64)
    padded[:size] = np.arange(size)
    return padded.reshape(-1, length)


class _Side:
    """Rows (or columns) of the weight with their non-zeros per slice of the other side.

    order: (slices, length) indices; rows: (slices, length, other slices); squares: their squared
    norms; loads: their sum, the non-zeros per tile. `order` is changed in place.
    """

    def __init__(self, weights: _Weights, order: FeatureNumbers, other: FeatureNumbers) -> None:
        self.order = order
        self.rows = weights.sums(other)[order] * (order >= 0)[..., None]
        self.loads = self.rows.sum(1)
        self.squares = np.square(self.rows).sum(2)

    def exchange(self, a: int, i: int, b: int, j: int) -> None:
        """Row i of slice a against row j of slice b."""
        change = self.rows[b, j] - self.rows[a, i]
        self.loads[a] += change
        self.loads[b] -= change
        self.rows[a, i], self.rows[b, j] = self.rows[b, j].copy(), self.rows[a, i].copy()
        for values in (self.order, self.squares):
            values[a, i], values[b, j] = values[b, j], values[a, i]


def _exchange_pairs(side: _Side, share: float = 1.0) -> None:
    """For every pair of slices, or a share of them, the exchange that lowers the sum of squares
    most, if any does.

    With d the difference of two rows and D that of the slices' loads, the sum of squares changes
    by 2 (d D + |d|^2); |d|^2 over all pairs of rows is one matrix product.
    """
    length = side.order.shape[1]
    for a, b in _rounds(len(side.order), share):
        left, right = side.rows[a], side.rows[b]
        apart = (side.loads[a] - side.loads[b])[:, :, None]
        of_left = side.squares[a] - (left @ apart)[:, :, 0]
        of_right = side.squares[b] + (right @ apart)[:, :, 0]
        change = left @ right.transpose(0, 2, 1)
        change *= -2
        change += of_left[:, :, None]
        change += of_right[:, None, :]
        change[side.order[a] < 0] = _NO_ROW
        change.transpose(0, 2, 1)[side.order[b] < 0] = _NO_ROW
        flat = change.reshape(len(a), -1)
        best = flat.argmin(1)
        for pair in np.flatnonzero(flat[np.arange(len(a)), best] < -0.5):
            i, j = divmod(int(best[pair]), length)
            side.exchange(int(a[pair]), i, int(b[pair]), j)


def _rounds(count: int, share: float) -> Iterator[tuple[FeatureNumbers, FeatureNumbers]]:
    """All pairs of `count` slices in rounds of disjoint ones (round-robin tournament), or the first
    share of the rounds."""
    ring = [*range(count), *([-1] if count % 2 and count > 1 else [])]
    half = len(ring) // 2
    for _ in range(ceil(share * (len(ring) - 1))):
        pairs = zip(ring[:half], ring[: half - 1 : -1], strict=True)
        played = np.array([pair for pair in pairs if -1 not in pair], np.int64)
        yield played[:, 0], played[:, 1]
        ring = [ring[0], ring[-1], *ring[1:-1]]


def _polish(weights: _Weights, rows: FeatureNumbers, columns: FeatureNumbers, goal: float) -> None:
    """Exchange rows, then columns, of slices with one of the fullest tiles above `goal`."""
    generator = np.random.Generator(np.random.PCG64(0))
    for round_ in range(_POLISH_ROUNDS):
        orders = (rows, columns) if round_ % 2 == 0 else (columns, rows)
        side = _Side(weights if round_ % 2 == 0 else weights.transposed, *orders)
        limit = np.floor(goal * side.loads.mean())
        if side.loads.max() <= limit:
            return
        worst = np.sort(side.loads, axis=None)[-_WORST_TILES - 1 :][0]
        limit = max(limit, float(worst))
        for slice_ in np.flatnonzero((side.loads > limit).any(1)):
            if len(side.order) > 1:
                _relieve(side, int(slice_), limit, generator)


def _relieve(side: _Side, slice_: int, limit: float, generator: np.random.Generator) -> None:
    """The best exchange of `slice_` with a few random slices, if it lowers the excess.

    Only the rows that put most into the slice's fullest tile are candidates to leave.
    """
    others = np.delete(np.arange(len(side.order)), slice_)
    chosen = generator.choice(others, min(_PARTNERS, len(others)), replace=False)
    fullest = side.loads[slice_].argmax()
    leaving = np.argsort(-side.rows[slice_, :, fullest], kind="stable")[:_CANDIDATES]
    change = side.rows[chosen][:, None] - side.rows[slice_, leaving][None, :, None]
    excess = _excess(side.loads[slice_] + change, limit) + _excess(
        side.loads[chosen][:, None, None] - change, limit
    )
    now = _excess(side.loads[slice_], limit) + _excess(side.loads[chosen], limit)
    empty = (side.order[slice_, leaving] < 0)[None, :, None] | (side.order[chosen] < 0)[:, None]
    gain = np.where(empty, -_NO_ROW, now[:, None, None] - excess)
    partner, i, j = np.unravel_index(int(gain.argmax()), gain.shape)
    if gain[partner, i, j] > 0:
        side.exchange(slice_, int(leaving[i]), int(chosen[partner]), int(j))


def _excess(loads: Float32s, limit: float) -> Float32s:
    return np.square(np.maximum(loads - limit, 0)).sum(-1)


def _load(side: _Side) -> Load:
    return Load(float(side.loads.mean(dtype=np.float64)), int(side.loads.max()))
