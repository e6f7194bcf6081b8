"""Matrix products that read a transposed operand where it lies.

torch keeps the weight of a linear layer as (out, in) and multiplies by its transpose. Written as a
transpose and a product, XLA's CPU backend copies the whole weight for every sample; written as one
contraction over the last axis of both operands it reads the weight once. A transpose from the left,
of the outputs' gradient for the gradient of the weight, is stored: see `in_order`.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax.numpy as jnp
from torch import fx

from ....backend.optim import sum_of_squares
from ...tick.operands import behind_views, column_and_row, square_of_product
from .accumulate import in_order, wide_contraction
from .convolution import weight_gradient_factors
from .predicted import Predicted, added_up

Array = Any

PRODUCTS = {"aten.mm.default", "aten.addmm.default"}
"""The operators whose last two arguments are matrices."""

_WEIGHT = 1
"""The number of the weight's gradient among the results of `aten.convolution_backward`."""


class MaybeTransposed(NamedTuple):
    """An operand of a product: an array or predicted weights, or the transpose."""

    array: Any
    is_transposed: bool


def product(a: MaybeTransposed, b: MaybeTransposed) -> Array:
    """a @ b in at least float32."""
    left, is_turned = added_up(a.array), a.is_transposed
    if is_turned and len(left) > 1:  # a column times a row is never stored
        left, is_turned = in_order(left.T), False
    contracted = (0 if is_turned else 1,), (1 if b.is_transposed else 0,)

    def times(right: Array) -> Array:
        return wide_contraction(left, right, (contracted, ((), ())))

    is_row = left.shape[1 if is_turned else 0] == 1
    if is_row and isinstance(b.array, Predicted):
        return b.array.times(times)
    return times(added_up(b.array))


def square(node: fx.Node, known: Mapping[fx.Node, Array]) -> Array:
    """The sum of squares of a node's value.

    Of a product of a column and a row, as the gradient of a linear layer is for one sample, and of
    a convolution with one position of output, it is that of the factors. With it the gradient is
    never stored: the update makes its entries as it goes.
    """
    factors = _column_and_row(node, known)
    if factors is None:
        return sum_of_squares(known[node], jnp)
    return square_of_product(*factors, jnp)


def _column_and_row(node: fx.Node, known: Mapping[fx.Node, Array]) -> tuple[Array, Array] | None:
    source = behind_views(node)
    if source.target is operator.getitem and source.args[1] == _WEIGHT:
        return _of_convolution(source.args[0], known)
    factors = column_and_row(source)
    return factors and (known[factors[0]], known[factors[1]])


def _of_convolution(node: object, known: Mapping[fx.Node, Array]) -> tuple[Array, Array] | None:
    if not isinstance(node, fx.Node) or str(node.target) != "aten.convolution_backward.default":
        return None
    given: Any = fx.map_arg(node.args, known.__getitem__)
    return weight_gradient_factors(*given)
