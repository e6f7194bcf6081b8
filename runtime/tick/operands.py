"""What a matrix product of a stage's program reads, behind views that move nothing."""

from __future__ import annotations

from typing import Any

from torch import fx

from ...backend.optim import sum_of_squares

_SAME_ENTRIES = {"aten.permute.default", "aten.reshape.default"}
"""Operators whose result has the entries of their argument, in another order or shape."""


def behind_views(node: fx.Node) -> fx.Node:
    """The node that has the entries of another one, in another order or shape."""
    while str(node.target) in _SAME_ENTRIES:
        arguments: Any = node.args
        node = arguments[0]
    return node


def column_and_row(node: fx.Node) -> tuple[fx.Node, fx.Node] | None:
    """The factors of a product over an inner dimension of 1, behind views of it."""
    product = behind_views(node)
    if str(product.target) != "aten.mm.default":
        return None
    column, row = product.args
    assert isinstance(column, fx.Node)
    assert isinstance(row, fx.Node)
    return (column, row) if row.meta["val"].shape[0] == 1 else None


def operand(node: fx.Node) -> tuple[fx.Node, bool]:
    """The node behind transposes of a matrix, and whether they amount to one."""
    is_transposed = False
    while str(node.target) == "aten.permute.default":
        arguments: Any = node.args
        if list(arguments[1]) != [1, 0]:
            break
        node, is_transposed = arguments[0], not is_transposed
    return node, is_transposed


def square_of_product(column: Any, row: Any, xp: Any) -> Any:
    """The sum of squares of the entries of a column times a row, |c r|^2 = |c|^2 |r|^2.

    It is computed as the sum of (c_i |r|)^2, the squared norms of the product's rows, so that in
    float32 nothing overflows or vanishes that does not in the entries' own squares, as long as |r|
    is between 1e-19 and 1e19.
    """
    length = xp.sqrt(sum_of_squares(row, xp))
    return sum_of_squares(column * length, xp)
