"""What a matrix product of a stage's program reads, behind views that move nothing."""

from __future__ import annotations

from typing import Any

from torch import fx

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


def is_turned(node: fx.Node, matrix: fx.Node) -> bool | None:
    """Whether the entries of a node, row by row, are those of the transpose of a matrix that it
    has behind views; None where they are in another order."""
    if node is matrix:
        return False
    source: Any = node.args[0]
    is_so, sizes = is_turned(source, matrix), list(matrix.meta["val"].shape)
    if str(node.target) == "aten.reshape.default" or is_so is None:
        return is_so
    lies = list(source.meta["val"].shape) == (sizes[::-1] if is_so else sizes)
    return not is_so if lies and list(node.args[1]) == [1, 0] else None  # type: ignore[arg-type]


def operand(node: fx.Node) -> tuple[fx.Node, bool]:
    """The node behind transposes of a matrix, and whether they amount to one."""
    is_transposed = False
    while str(node.target) == "aten.permute.default":
        arguments: Any = node.args
        if list(arguments[1]) != [1, 0]:
            break
        node, is_transposed = arguments[0], not is_transposed
    return node, is_transposed
