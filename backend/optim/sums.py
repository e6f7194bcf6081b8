"""Sums over the entries of gradients, in at least float32, and from their factors where they are
a column times a row.
"""

from __future__ import annotations

from typing import Any, NamedTuple

Array = Any


class Factors(NamedTuple):
    """A gradient whose entries, row by row, are column[i] * row[j]; or that times a positive
    number, where it was clipped."""

    column: Array
    row: Array

    @property
    def transposed(self) -> Factors:
        """Those of the transpose."""
        return Factors(self.row, self.column)

    def square(self, xp: Any) -> Array:
        """The sum of squares of the entries, |c r|^2 = |c|^2 |r|^2.

        It is computed as the sum of (c_i |r|)^2, the squared norms of the rows, so that in float32
        nothing overflows or vanishes that does not in the entries' own squares, as long as |r| is
        between 1e-19 and 1e19.
        """
        length = xp.sqrt(sum_of_squares(self.row, xp))
        return sum_of_squares(self.column * length, xp)

    def dot(self, array: Array, xp: Any) -> Array:
        """The sum of products of the entries with those of an array of as many."""
        column, row = (wide(own, xp).reshape(-1) for own in self)
        return xp.dot(column, wide(array, xp).reshape(column.shape[0], row.shape[0]) @ row)


def sum_of_squares(array: Array, xp: Any) -> Array:
    """As a product of vectors: XLA vectorizes that reduction on a CPU."""
    return dot(array, array, xp)


def dot(one: Array, other: Array, xp: Any) -> Array:
    """The sum of products of the entries of two arrays."""
    return xp.dot(wide(one, xp).reshape(-1), wide(other, xp).reshape(-1))


def wide(array: Array, xp: Any) -> Array:
    """The array in at least float32."""
    return xp.asarray(array, dtype=xp.promote_types(array.dtype, xp.float32))
