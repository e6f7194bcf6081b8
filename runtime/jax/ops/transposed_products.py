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

from ....backend.optim import Factors, sum_of_squares
from ...tick.operands import behind_views, column_and_row, is_turned
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


def square(node: fx.Node, known: Mapping[fx.Node, Array]) -> Factors | Array:
    """The sum of squares of a node's value, or factors that it is made of.

    They are those of a product of a column and a row, as the gradient of a linear layer is for one
    sample, and of a convolution with one position of output. With them the gradient is never
    stored: the update makes its entries as it goes.
    """
    source = behind_views(node)
    factors = _factors(source, known)
    if factors is None:
        return sum_of_squares(known[node], jnp)
    turned = is_turned(node, source)
    if turned is None:
        return factors.square(jnp)
    return factors.transposed if turned else factors


def _factors(source: fx.Node, known: Mapping[fx.Node, Array]) -> Factors | None:
    if source.target is operator.getitem and source.args[1] == _WEIGHT:
        return _of_convolution(source.args[0], known)
    nodes = column_and_row(source)
    return nodes and Factors(*(known[node].reshape(-1) for node in nodes))


def _of_convolution(node: object, known: Mapping[fx.Node, Array]) -> Factors | None:
    if not isinstance(node, fx.Node) or str(node.target) != "aten.convolution_backward.default":
        return None
    given: Any = fx.map_arg(node.args, known.__getitem__)
    found = weight_gradient_factors(*given)
    return found and Factors(*found)
