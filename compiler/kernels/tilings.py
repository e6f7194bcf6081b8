"""Many tilings at once, as arrays: costs are computed for all of them in one sweep."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..plan.stage_record import Tiling

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Tilings:
    """Parallel arrays of the three splits and the order of rows (see `Tiling`)."""

    in_split: Ints
    space_split: Ints
    out_split: Ints
    interleaved: NDArray[np.bool_]

    @staticmethod
    def of(tiling: Tiling) -> Tilings:
        """One tiling."""
        splits = (tiling.in_split, tiling.space_split, tiling.out_split)
        into, space, out = (np.array([split], np.int64) for split in splits)
        return Tilings(into, space, out, np.array([tiling.interleaved]))

    @staticmethod
    def in_blocks(in_split: Ints, space_split: Ints, out_split: Ints) -> Tilings:
        """A slice of positions is a block of rows in each of them."""
        return Tilings(in_split, space_split, out_split, np.zeros(len(in_split), np.bool_))

    def __len__(self) -> int:
        return len(self.in_split)

    @property
    def height(self) -> Ints:
        return self.in_split * self.space_split

    @property
    def width(self) -> Ints:
        return self.out_split

    @property
    def in_spacing(self) -> Ints:
        """Hops from a slice of input features to the next, of the same positions."""
        return np.where(self.interleaved, self.space_split, 1)

    @property
    def space_spacing(self) -> Ints:
        """Hops from a slice of positions to the next, of the same input features."""
        return np.where(self.interleaved, 1, self.in_split)

    def where(self, keep: NDArray[np.bool_]) -> Tilings:
        """The tilings for which `keep` is true."""
        splits = self.in_split[keep], self.space_split[keep], self.out_split[keep]
        return Tilings(*splits, self.interleaved[keep])

    def in_both_orders(self) -> Tilings:
        """These, then those again whose rows have a second order, interleaved."""
        other = self.where((self.in_split > 1) & (self.space_split > 1))
        return Tilings(
            np.concatenate([self.in_split, other.in_split]),
            np.concatenate([self.space_split, other.space_split]),
            np.concatenate([self.out_split, other.out_split]),
            np.arange(len(self) + len(other)) >= len(self),
        )

    def tiling(self, index: int) -> Tiling:
        """One of them."""
        splits = self.in_split[index], self.space_split[index], self.out_split[index]
        return Tiling(*map(int, splits), interleaved=bool(self.interleaved[index]))

    def share(self, elements: int) -> Ints:
        """Elements on the fullest PE of a tensor without an axis to respect.

        Such a tensor is dealt out evenly: over the rows of PEs, then along each row.
        """
        return ceil_div(ceil_div(elements, self.height), self.width)


def ceil_div(numerator: Ints | int, denominator: Ints | int) -> Ints:
    """Integer division, rounded up."""
    return -(-np.asarray(numerator) // np.asarray(denominator))


def useful_splits(size: int) -> tuple[int, ...]:
    """Ways to cut `size` items into equal slices with none empty, about two per octave; nothing
    is left whole.

    >>> useful_splits(16)
    (1, 2, 3, 4, 6, 8, 16)
    """
    size = max(size, 1)
    slices = {min(size, round(2 ** (half / 2))) for half in range(2 * size.bit_length() + 1)}
    return tuple(sorted({-(-size // slice_size) for slice_size in slices}))


def enumerate_tilings(
    in_features: int, positions: int, out_features: int, rows: int, columns: int
) -> Tilings:
    """All combinations of useful splits whose rectangle fits `rows` x `columns` PEs, with both
    orders of rows where these differ."""
    axes = [np.array(useful_splits(n), np.int64) for n in (in_features, positions, out_features)]
    in_split, space_split, out_split = (a.ravel() for a in np.meshgrid(*axes, indexing="ij"))
    all_tilings = Tilings.in_blocks(in_split, space_split, out_split)
    return _fitting(all_tilings, rows, columns).in_both_orders()


def filling_tilings(
    in_features: int, positions: int, out_features: int, rows: int, columns: int
) -> Tilings:
    """Those of `enumerate_tilings`, and others that leave few rows and columns unused.

    Useful splits are up to a factor of 1.4 apart, so a large stage may leave a quarter of a mesh
    or more unused, and its memory with it. To each split of an axis come those of the axes beside
    it that fill the rest.
    """
    into, space, out = map(useful_splits, (in_features, positions, out_features))
    down = {(i, s) for i in into for s in space}
    down |= {(_filling(in_features, rows // s), s) for s in space if s <= rows}
    down |= {(i, _filling(positions, rows // i)) for i in into if i <= rows}
    across = {*out, _filling(out_features, columns)}
    splits = np.array([(*d, o) for d in sorted(down) for o in sorted(across)], np.int64)
    return _fitting(Tilings.in_blocks(*splits.T.copy()), rows, columns).in_both_orders()


def _fitting(tilings: Tilings, rows: int, columns: int) -> Tilings:
    return tilings.where((tilings.height <= rows) & (tilings.width <= columns))


def _filling(size: int, most: int) -> int:
    """The most slices, of equal size and none empty, that are at most `most`."""
    return -(-size // -(-size // min(size, most)))
