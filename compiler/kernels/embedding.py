"""Embedding tables: look a token's row up, or add a gradient to it.

The table is cut like a linear layer's weight, rows of the table over in_split, columns over
out_split. The PE that holds a row sends it down its column of PEs; gradients come the same way.
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
    columns = ceil_div(width, site.tilings.out_split)
    task = site.target.vector.task_cycles
    compute = tokens * (task + site.vector_cycles(columns, dtype_of(node)))
    sent = words(site.target.noc, tokens * columns, value.element_size())
    return Cost(compute, transfer(site.target.noc, sent, site.tilings.height - 1, 1))
