"""Parameters as matrices, for rules whose step mixes a parameter's entries."""

from __future__ import annotations

from math import prod
from typing import Any

from .rule import Array

NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
"""Coefficients of X <- a X + (b A + c A^2) X with A = X X^T (Jordan et al. 2024)."""
STEPS = 5


def is_matrix(parameter: Array) -> bool:
    """Whether a parameter has rows and columns, both of more than one entry."""
    return len(parameter.shape) > 1 and min(matrix_shape(parameter)) > 1


def matrix_shape(parameter: Array) -> tuple[int, int]:
    """(rows, columns): the first axis, and all others as one (a convolution's are flattened)."""
    rows, *others = parameter.shape
    return rows, prod(others)


def as_matrix(parameter: Array, xp: Any) -> Array:
    """In at least float32."""
    wide = xp.promote_types(parameter.dtype, xp.float32)
    return xp.asarray(parameter, dtype=wide).reshape(matrix_shape(parameter))


def transposed(matrix: Array, xp: Any) -> Array:
    """The transpose."""
    return xp.swapaxes(matrix, 0, 1)


def orthogonalized(matrix: Array, xp: Any) -> Array:
    """Nearly the orthogonal matrix that is nearest: singular values of about 0.5 to 1.5, not 1.

    Five Newton-Schulz steps from matrix / (norm + 1e-7), on the transpose where that has fewer
    rows. Zero stays zero.
    """
    rows, columns = matrix.shape
    x = matrix if rows <= columns else transposed(matrix, xp)
    x = x / (xp.sqrt(xp.sum(x * x)) + 1e-7)
    a, b, c = NEWTON_SCHULZ
    for _ in range(STEPS):
        gram = x @ transposed(x, xp)
        x = a * x + (b * gram + c * (gram @ gram)) @ x
    return x if rows <= columns else transposed(x, xp)
