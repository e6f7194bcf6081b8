"""Matrix products that read a transposed operand where it lies.

torch keeps the weight of a linear layer as (out, in) and multiplies by its transpose. Written as a
transpose and a product, XLA's CPU backend copies the whole weight for every sample; written as one
contraction over the last axis of both operands it reads the weight once.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from jax import lax
from torch import fx

Array = Any

PRODUCTS = {"aten.mm.default", "aten.addmm.default"}
"""The operators whose last two arguments are matrices."""


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
    """a @ b."""
    contracted = (0 if a.is_transposed else 1,), (1 if b.is_transposed else 0,)
    return lax.dot_general(a.array, b.array, (contracted, ((), ())))
