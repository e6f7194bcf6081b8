"""Matrix products that read a transposed operand where it lies.

torch keeps the weight of a linear layer as (out, in) and multiplies by its transpose. Written as a
transpose and a product, XLA's CPU backend copies the whole weight for every sample; written as one
contraction over the last axis of both operands it reads the weight once.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax.numpy as jnp
from torch import fx

from ....backend.optim import sum_of_squares
from .accumulate import wide_contraction
from .convolution import weight_gradient_factors

Array = Any

PRODUCTS = {"aten.mm.default", "aten.addmm.default"}
"""The operators whose last two arguments are matrices."""

_WEIGHT = 1
"""The number of the weight's gradient among the results of `aten.convolution_backward`."""

_SAME_ENTRIES = {"aten.permute.default", "aten.reshape.default"}


class Matrix(NamedTuple):
    """An operand of a product: an array, or its transpose."""

    array: Array
    is_transposed: bool


def operand(node: fx.Node) -> tuple[fx.Node, bool]:
    """The node behind transposes of a matrix, and whether they amount to one."""
    is_transposed = False
    while str(node.target) == "aten.permute.default":
        arguments: Any = node.args
        if list(arguments[1]) != [1, 0]:
            break
        node, is_transposed = arguments[0], not is_transposed
    return node, is_transposed


def product(a: Matrix, b: Matrix) -> Array:
    """a @ b in at least float32."""
    contracted = (0 if a.is_transposed else 1,), (1 if b.is_transposed else 0,)
    return wide_contraction(a.array, b.array, (contracted, ((), ())))


def square(node: fx.Node, known: Mapping[fx.Node, Array]) -> Array:
    """The sum of squares of a node's value.

    |c r|^2 = |c|^2 |r|^2 for the product of a column and a row, as the gradient of a linear layer
    is for one sample, and of a convolution with one position of output. With it the gradient is
    never stored: the update makes its entries as it goes. It is computed as the sum of
    (c_i |r|)^2, the squared norms of the product's rows, so that in float32 nothing overflows or
    vanishes that does not in the entries' own squares, as long as |r| is between 1e-19 and 1e19.
    """
    factors = _column_and_row(node, known)
    if factors is None:
        return sum_of_squares(known[node], jnp)
    column, row = factors
    length = jnp.sqrt(sum_of_squares(row, jnp))
    return sum_of_squares(column * length, jnp)


def _column_and_row(node: fx.Node, known: Mapping[fx.Node, Array]) -> tuple[Array, Array] | None:
    """The factors of a product over an inner dimension of 1, behind views of it."""
    while str(node.target) in _SAME_ENTRIES:
        arguments: Any = node.args
        node = arguments[0]
    if node.target is operator.getitem and node.args[1] == _WEIGHT:
        return _of_convolution(node.args[0], known)
    if str(node.target) != "aten.mm.default":
        return None
    column, row = node.args
    assert isinstance(column, fx.Node)
    assert isinstance(row, fx.Node)
    return (known[column], known[row]) if row.meta["val"].shape[0] == 1 else None


def _of_convolution(
    node: fx.node.Argument, known: Mapping[fx.Node, Array]
) -> tuple[Array, Array] | None:
    if not isinstance(node, fx.Node) or str(node.target) != "aten.convolution_backward.default":
        return None
    given: Any = fx.map_arg(node.args, known.__getitem__)
    return weight_gradient_factors(*given)
