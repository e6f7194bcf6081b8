"""Many tilings at once, as arrays: costs are computed for all of them in one sweep."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from itertools import product
from typing import TypeVar

import numpy as np

from ..plan.stage_record import ALGORITHMS, Tiling
from .arrays import Bools, Ints, ceil_div

N = TypeVar("N", int, Ints)

MULTICAST, ALL_REDUCE, RING, SUMMA = range(len(ALGORITHMS))
"""Numbers of the algorithms in `Tilings.algorithm`."""


@dataclass(frozen=True)
class Tilings:
    """Parallel arrays of what makes a `Tiling`; `algorithm` is its number."""

    in_split: Ints
    space_split: Ints
    out_split: Ints
    interleaved: Bools
    algorithm: Ints
    groups: Ints

    @staticmethod
    def of(tiling: Tiling) -> Tilings:
        """One tiling."""
        splits = (tiling.in_split, tiling.space_split, tiling.out_split)
        algorithm = ALGORITHMS.index(tiling.algorithm)
        into, space, out, number, groups = (
            np.array([one], np.int64) for one in (*splits, algorithm, tiling.groups)
        )
        return Tilings(into, space, out, np.array([tiling.interleaved]), number, groups)

    @staticmethod
    def in_blocks(
        in_split: Ints, space_split: Ints, out_split: Ints, algorithm: int = MULTICAST
    ) -> Tilings:
        """A slice of positions is a block of rows in each of them."""
        zeros = np.zeros(len(in_split), np.int64)
        splits = in_split, space_split, out_split
        return Tilings(*splits, zeros > 0, zeros + algorithm, zeros)

    def __len__(self) -> int:
        return len(self.in_split)

    @cached_property
    def is_square(self) -> Bools:
        """Whether all three matrices of a product are cut alike along both axes."""
        return self.algorithm >= RING

    @cached_property
    def height(self) -> Ints:
        return np.where(self.is_square, 1, self.in_split) * self.space_split

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

    def where(self, keep: Bools) -> Tilings:
        """The tilings for which `keep` is true."""
        return Tilings(*(getattr(self, field.name)[keep] for field in fields(self)))

    def beside(self, other: Tilings) -> Tilings:
        """These, then those of `other`."""
        names = [field.name for field in fields(self)]
        both = ((getattr(self, name), getattr(other, name)) for name in names)
        return Tilings(*map(np.concatenate, both))

    def in_both_orders(self) -> Tilings:
        """These, then those again whose rows have a second order, interleaved."""
        other = self.where((self.in_split > 1) & (self.space_split > 1))
        return self.beside(replace(other, interleaved=np.ones(len(other), np.bool_)))

    def tiling(self, index: int) -> Tiling:
        """One of them."""
        splits = self.in_split[index], self.space_split[index], self.out_split[index]
        return Tiling(
            *map(int, splits),
            interleaved=bool(self.interleaved[index]),
            algorithm=ALGORITHMS[self.algorithm[index]],
            groups=int(self.groups[index]),
        )

    def share(self, elements: int) -> Ints:
        """Elements on the fullest PE of a tensor without an axis to respect.

        Such a tensor is dealt out evenly: over the rows of PEs, then along each row; or over the
        shorter line of PEs, where all lines hold the same vectors.
        """
        if elements not in self._shares:
            self._shares[elements] = self._share(elements)
        return self._shares[elements]

    def _share(self, elements: int) -> Ints:
        share = ceil_div(ceil_div(elements, self.height), self.width)
        if (self.algorithm == ALL_REDUCE).any():
            along = ceil_div(elements, np.minimum(self.height, self.width))
            share = np.where(self.algorithm == ALL_REDUCE, along, share)
        share.setflags(write=False)
        return share

    @cached_property
    def _shares(self) -> dict[int, Ints]:
        """Those that were asked for, by elements."""
        return {}


def useful_splits(size: int, per_octave: int = 2) -> tuple[int, ...]:
    """Ways to cut `size` items into equal slices with none empty, about so many per octave; nothing
    is left whole.

    >>> useful_splits(16)
    (1, 2, 3, 4, 6, 8, 16)
    """
    size = max(size, 1)
    steps = range(per_octave * size.bit_length() + 1)
    slices = {min(size, round(2 ** (step / per_octave))) for step in steps}
    return tuple(sorted({-(-size // slice_size) for slice_size in slices}))


COARSE, FINE = (2, 2, 2), (3, 4, 3)
"""Splits per octave of input features, positions and output features."""


def enumerate_tilings(
    in_features: int,
    positions: int,
    out_features: int,
    rows: int,
    columns: int,
    per_octave: tuple[int, int, int] = COARSE,
) -> Tilings:
    """All combinations of useful splits whose rectangle fits `rows` x `columns` PEs, with both
    orders of rows where these differ, and others that leave few rows and columns unused.

    Coarse splits are up to a factor of 1.4 apart, so a large stage may leave a quarter of a mesh
    or more unused, and its memory with it. To each split of an axis come those of the axes beside
    it that fill the rest.
    """
    sizes = in_features, positions, out_features
    into, space, out = map(useful_splits, sizes, per_octave)
    down = {(i, s) for i in into for s in space}
    down |= {(_filling(in_features, rows // s), s) for s in space if s <= rows}
    down |= {(i, _filling(positions, rows // i)) for i in into if i <= rows}
    across = np.array(sorted({*out, _filling(out_features, columns)}), np.int64)
    ordered = np.array(sorted(down), np.int64).T
    in_split, space_split = (np.repeat(axis, len(across)) for axis in ordered)
    blocks = Tilings.in_blocks(in_split, space_split, np.tile(across, ordered.shape[1]))
    return _fitting(blocks, rows, columns).in_both_orders()


_NEAR = 0.77, 0.82, 0.88, 0.94, 1.0, 1.07, 1.14, 1.22, 1.3
"""Finer splits in shares of the one they are about; the next coarse one is 1.4."""
_AREAS = 0.65, 1.2


def tilings_about(
    splits: Sequence[tuple[int, int, int]], sizes: tuple[int, int, int], rows: int, columns: int
) -> Tilings:
    """Combinations of useful splits about each of `splits`, of input features, positions and output
    features, of at most a fifth more and a third fewer PEs, in both orders of rows."""
    found = set()
    for own in splits:
        axes = (
            {_filling(size, max(round(near * split), 1)) for near in _NEAR}
            for size, split in zip(sizes, own, strict=True)
        )
        least, most = (share * math.prod(own) for share in _AREAS)
        found |= {one for one in product(*axes) if least <= math.prod(one) <= most}
    into, space, out = np.array(sorted(found), np.int64).T
    return _fitting(Tilings.in_blocks(into, space, out), rows, columns).in_both_orders()


def _fitting(tilings: Tilings, rows: int, columns: int) -> Tilings:
    return tilings.where((tilings.height <= rows) & (tilings.width <= columns))


def _filling(size: int, most: int) -> int:
    """The most slices, of equal size and none empty, that are at most `most`."""
    size = max(size, 1)
    return -(-size // -(-size // min(size, most)))


def line_tilings(
    in_features: int, out_features: int, rows: int, columns: int, in_turn: bool = False
) -> Tilings:
    """Useful splits of the features of vectors that every line of PEs holds alike, and those that
    fill the grid; where sums run down columns and along rows `in_turn`, as many of both."""
    most = (in_features, rows), (out_features, columns)
    axes = [np.array(sorted({*useful_splits(n), _filling(n, pes)})) for n, pes in most]
    if in_turn:
        into = out = np.unique(np.minimum(np.concatenate(axes), min(in_features, out_features)))
    else:
        into, out = (a.ravel() for a in np.meshgrid(*axes, indexing="ij"))
    lines = Tilings.in_blocks(into, np.ones_like(into), out, ALL_REDUCE)
    return _fitting(lines, rows, columns)


def square_tilings(sizes: tuple[int, int, int], rows: int, columns: int) -> Tilings:
    """Square regions that cut all three matrices of a product alike, on a ring and by multicast."""
    most = min(*sizes, rows, columns)
    sides = {split for size in sizes for split in useful_splits(size) if 1 < split <= most}
    pes = np.array(sorted(sides), np.int64)
    ring, summa = (Tilings.in_blocks(pes, pes, pes, algorithm) for algorithm in (RING, SUMMA))
    return ring.beside(summa)


def apart_sides(height: N, width: N) -> tuple[N, N]:
    """Sides of two regions of these sides that lie beside each other with their longer ones."""
    is_tall = height >= width
    return height * (2 - is_tall), width * (1 + is_tall)
