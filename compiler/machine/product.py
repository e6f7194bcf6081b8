"""A product of a weight with positions, and what the fullest PE holds of it.

A weight lies between `in_features` and `out_features`, with `taps` for each pair (one in a linear
layer, a kernel's positions in a convolution).

    forward          out[k, :] += w * in[c, :]
    input gradient   grad_in[c, :] += w * grad_out[k, :]
    weight gradient  grad_w = <in[c, :], grad_out[k, :]>
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

import numpy as np

from ..targets.target import Noc, Target
from .arrays import Bools, Ints, ceil_div
from .collectives import words
from .local_product import LocalProduct
from .tilings import ALL_REDUCE, Tilings

_HELD_PARTS = 4
"""One side of a product may take one of so many parts of a PE's memory; an assumption."""


def side_bytes(target: Target) -> int:
    """Bytes that one side of a product may take on a PE; all of them where programs are written
    out, which hold both sides and stream nothing."""
    return target.capacity_bytes // (_HELD_PARTS if target.software.triggered else 1)


class ProductKind(Enum):
    """What a product computes with its weight."""

    FORWARD = "forward"
    INPUT_GRADIENT = "input gradient"
    WEIGHT_GRADIENT = "weight gradient"


@dataclass(frozen=True)
class Product:
    """Sizes for one sample; `halo` counts the output positions that a slice of the inputs reaches
    beyond its own share of them (zero for one tap).

    A `loaded` weight is no parameter that lies there: it is sent to its PEs first. There may be a
    `batch` of such products, independent of each other (the heads of an attention). Products follow
    each other (`is_followed`) where a stage has several.
    """

    kind: ProductKind
    in_features: int
    out_features: int
    taps: int
    in_positions: int
    out_positions: int
    halo: int
    dtype: str
    itemsize: int
    is_sparse: bool = False
    loaded: bool = False
    batch: int = 1
    is_followed: bool = False
    follows: bool = False


@dataclass(frozen=True)
class Sides:
    """Which sides of a product a PE can hold, and in how many turns over its positions."""

    holds_in: Bools
    holds_out: Bools
    turns: Ints

    @staticmethod
    def of(most_bytes: int, in_bytes: Ints, out_bytes: Ints, positions: Ints) -> Sides:
        """`in_bytes` and `out_bytes` are those of all positions of a PE, `most_bytes` what one side
        may take."""
        small = np.minimum(in_bytes, out_bytes)
        needed = ceil_div(small, most_bytes)
        return Sides(
            (in_bytes <= most_bytes) | (in_bytes == small),
            (out_bytes <= most_bytes) | (out_bytes == small),
            np.clip(needed, 1, np.maximum(positions, 1)),
        )


@dataclass(frozen=True)
class Tile:
    """One product on the fullest PE, for every tiling; `nonzeros` are the weights that cost time.

    Of the two loop orders, operands outermost or sums outermost, memory allows `orders`.
    """

    product: Product
    tilings: Tilings
    in_features: Ints
    out_features: Ints
    in_positions: Ints
    out_positions: Ints
    nonzeros: Ints
    sides: Sides

    @property
    def border(self) -> Ints:
        """Positions of the outputs beyond its own that its inputs reach."""
        return np.minimum(self.product.halo, self.product.out_positions - self.out_positions)

    @property
    def orders(self) -> tuple[Bools, Bools]:
        """A weight's gradient lies where the weight does: it allows both."""
        if self.product.kind is ProductKind.WEIGHT_GRADIENT:
            every = np.ones(len(self.tilings), np.bool_)
            return every, every
        sides = self.sides
        if self.product.kind is ProductKind.FORWARD:
            return sides.holds_out, sides.holds_in
        return sides.holds_in, sides.holds_out

    @property
    def turns(self) -> Ints:
        """In how many turns over its positions, each with sums of its own, a PE goes."""
        if self.product.kind is ProductKind.WEIGHT_GRADIENT:
            return np.ones(len(self.tilings), np.int64)
        return self.sides.turns

    @property
    def arithmetic(self) -> LocalProduct:
        """A weight multiplies the positions of the smaller side: a strided convolution visits one
        input per output, a transposed one the reverse."""
        taps = self.product.taps
        return LocalProduct(
            nonzeros=self.nonzeros,
            weights=self.in_features * self.out_features * taps,
            in_features=self.in_features,
            out_features=self.out_features,
            positions=np.minimum(self.in_positions, self.out_positions),
            turns=self.sides.turns,
            taps=taps,
            is_sparse=self.product.is_sparse,
            dtype=self.product.dtype,
        )

    def in_words(self, noc: Noc) -> Ints:
        """Link words of its slice of the inputs."""
        return words(noc, self.in_features * self.in_positions, self.product.itemsize)

    def out_words(self, noc: Noc) -> Ints:
        """Link words of its slice of the outputs and of its borders."""
        reached = self.out_positions + self.border
        return words(noc, self.out_features * reached, self.product.itemsize)

    def border_words(self, noc: Noc) -> Ints:
        """Link words of the outputs beyond its slice, on one side of it."""
        return words(noc, self.out_features * ceil_div(self.border, 2), self.product.itemsize)

    def weight_words(self, noc: Noc) -> Ints:
        """Link words of a gradient of its weights."""
        return words(noc, self.nonzeros, self.product.itemsize)

    def loaded_words(self, noc: Noc) -> Ints:
        """Words of the weight that are sent to each row of PEs first."""
        if not self.product.loaded:
            return np.zeros(len(self.tilings), np.int64)
        row = self.in_features * self.product.out_features * self.product.taps
        return words(noc, row, self.product.itemsize)


def tile_of(target: Target, tilings: Tilings, product: Product, nonzeros: Ints) -> Tile:
    """One product of a batch; `tilings` are those that one of them has to itself."""
    into = ceil_div(product.in_features, tilings.in_split)
    out = ceil_div(product.out_features, tilings.out_split)
    arriving = ceil_div(product.in_positions, tilings.space_split)
    leaving = ceil_div(product.out_positions, tilings.space_split)
    reached = leaving + np.minimum(product.halo, product.out_positions - leaving)
    size, longest = product.itemsize, np.maximum(arriving, leaving)
    ends = into * arriving * size, out * reached * size
    sides = Sides.of(side_bytes(target), *ends, longest)
    return Tile(product, tilings, into, out, arriving, leaving, nonzeros, sides)


def products_beside(tilings: Tilings, batch: int) -> Ints:
    """Products of a batch that run at once, each on rows of PEs of its own."""
    return np.where(tilings.is_square, 1, np.minimum(max(batch, 1), tilings.in_split))


def in_batch(tilings: Tilings, batch: int, follows: bool = False) -> tuple[Tilings, Ints]:
    """The rows that one product of a batch has to itself, and how many of them it does in turn.

    A batch is spread over the rows of PEs as far as it goes; those of a row run one after another.
    A square region does all of them in turn. An empty batch is none in turn. Where all lines hold
    the same vectors, a product that `follows` another one of its batch contracts what lies along
    the whole of a line, and its results lie on the lines that the batch has to itself.
    """
    beside = products_beside(tilings, batch)
    rows = replace(tilings, in_split=tilings.in_split // beside)
    if not follows:
        return rows, ceil_div(batch, beside)
    turned = tilings.algorithm == ALL_REDUCE
    into = np.where(turned, tilings.out_split, rows.in_split)
    out = np.where(turned, rows.in_split, rows.out_split)
    return replace(rows, in_split=into, out_split=out), ceil_div(batch, beside)
