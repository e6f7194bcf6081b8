"""Embedding tables: look a token's row up, or add a gradient to it.

The table is cut like a linear layer's weight, rows of the table over in_split, columns over
out_split. The PE that holds a row sends it down its column of PEs; gradients come the same way.
Where a product has the same table (see mapping/sharing.py) it may lie the other way round.
The tokens of a sample come together: one task runs through them, one vector pass for each.
"""

from __future__ import annotations

from torch import fx

from ..machine.arrays import ceil_div
from ..machine.collectives import transfer, words
from ..machine.cost import Cost
from .roles import dtype_of, operand, operator_of, shape_of, tensors_of
from .site import Site

FORWARD = "aten.embedding.default"
BACKWARD = "aten.embedding_dense_backward.default"


def embedding(node: fx.Node, site: Site) -> Cost:
    """Cost of a look-up or of its backward, one vector pass per token."""
    rows_moved = node if operator_of(node) == FORWARD else operand(node, 0)
    value = tensors_of(rows_moved)[0]
    width = shape_of(rows_moved)[-1]
    tokens = value.numel() // max(1, width)
    tilings = site.tilings
    lies = (tilings.out_split, tilings.height), (tilings.in_split, tilings.width)
    split, line = lies[_columns_axis(node, site) == 0]
    columns = ceil_div(width, split)
    task = site.target.vector.task_cycles
    compute = task + tokens * site.vector_cycles(columns, dtype_of(node))
    sent = words(site.target.noc, tokens * columns, value.element_size())
    return Cost(compute, transfer(site.target.noc, sent, line - 1, 1))


def _columns_axis(node: fx.Node, site: Site) -> int:
    """The axis of the table that out_split cuts."""
    if operator_of(node) == FORWARD:
        alias = site.roles.weight.get(operand(node, 0))
        index = None if alias is None else alias.index
    else:
        index = site.roles.gradient.get(node)
    return 1 if index is None else 1 - site.in_axis.get(index, 0)
