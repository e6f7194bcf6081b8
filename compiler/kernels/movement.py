"""Data movement: what costs nothing, and what does.

A view costs nothing exactly where no data moves: a vector instruction reads its operands through a
descriptor (base, strides, lengths), so another shape, a permutation, a slice or a repeated axis of
data that stays on its PE is only another descriptor. What writes a new tensor costs a pass over it.
What writes it in another order over the region also sends its words across: at worst half of them
cross the region's middle, min(height, width) links wide.
"""

from __future__ import annotations

import numpy as np
from torch import fx

from ..machine.arrays import ceil_div
from ..machine.collectives import transfer, words
from ..machine.cost import Cost
from .roles import VIEWS, dtype_of, operator_of, tensors_of
from .site import Site

ALIASES = VIEWS | {
    "aten.select.int",
    "aten.slice.Tensor",
    "aten.diagonal.default",
    "aten.split.Tensor",
    "aten.split_with_sizes.default",
    "aten.unbind.int",
    "aten.view.dtype",
}
"""What only describes anew the data of its first operand."""

FREE = ALIASES | {
    "getitem",
    "aten.empty.memory_format",
    "aten.empty_like.default",
    "aten.empty_permuted.default",
    "aten.empty_strided.default",
    "aten.scalar_tensor.default",  # a number is an operand of the instruction that reads it
}

WRITES = frozenset(
    {
        "aten._to_copy.default",
        "aten.arange.default",
        "aten.arange.start_step",
        "aten.constant_pad_nd.default",
        "aten.copy.default",
        "aten.copy_.default",
        "aten.diagonal_scatter.default",
        "aten.fill.Scalar",
        "aten.full.default",
        "aten.full_like.default",
        "aten.new_empty.default",
        "aten.new_full.default",
        "aten.new_ones.default",
        "aten.new_zeros.default",
        "aten.ones.default",
        "aten.ones_like.default",
        "aten.select_scatter.default",
        "aten.slice_scatter.default",
        "aten.tril.default",
        "aten.triu.default",
        "aten.zeros.default",
        "aten.zeros_like.default",
    }
)

REORDERS = frozenset(
    {
        "aten.cat.default",
        "aten.clone.default",
        "aten.col2im.default",
        "aten.flip.default",
        "aten.as_strided.default",
        "aten.as_strided_scatter.default",
        "aten.im2col.default",
        "aten.index_select.default",
        "weft.local_loss.default",
        "aten.reflection_pad1d.default",
        "aten.reflection_pad2d.default",
        "aten.repeat.default",
        "aten.replication_pad2d.default",
        "aten.roll.default",
        "aten.stack.default",
        "aten.unfold.default",
        "aten.unfold_backward.default",
    }
)

_COMING = ("inputs_", "tangents_")
"""How the arguments of a program are called that come with streams."""
_JOINS = frozenset({"aten.cat.default", "aten.stack.default"})

INDEXED = frozenset(
    {
        "aten.gather.default",
        "aten.index_add.default",
        "aten.index_copy.default",
        "aten.index.Tensor",
        "aten.index_put.default",
        "aten.scatter.src",
        "aten.scatter.value",
        "aten.scatter_add.default",
        "aten.scatter_reduce.two",
    }
)


def free(node: fx.Node, site: Site) -> Cost:
    """A view or a name: no data moves."""
    return site.free()


def write(node: fx.Node, site: Site) -> Cost:
    """A new tensor in the order of its source: one pass over the result."""
    return Cost(site.vector_cycles(site.elements(node), dtype_of(node)), site.zeros())


def reorder(node: fx.Node, site: Site) -> Cost:
    """A new tensor in another order: one pass, and half of its words cross the region."""
    if _is_on_its_way(node):
        return write(node, site)
    value = tensors_of(node)[0]
    total = words(site.target.noc, value.numel(), value.element_size())
    links = np.minimum(site.tilings.height, site.tilings.width)
    distance = site.tilings.height + site.tilings.width - 2
    network = transfer(site.target.noc, ceil_div(total, 2 * links), distance, 1)
    return Cost(write(node, site).compute, network)


def _is_on_its_way(node: fx.Node) -> bool:
    """Whether parts are put together that all come with streams, for nothing else, or that only
    leave: streams then have the order of the whole, and no word crosses the region for it."""
    if operator_of(node) not in _JOINS:
        return False
    parts = node.all_input_nodes
    comes = all(part.name.startswith(_COMING) and len(part.users) == 1 for part in parts)
    return comes or _only_leaves(node)


def _only_leaves(node: fx.Node) -> bool:
    """Whether a value, or a view of it, is read by nothing in the stage."""
    return all(
        user.op == "output" or (operator_of(user) in ALIASES and _only_leaves(user))
        for user in node.users
    )


def indexed(node: fx.Node, site: Site) -> Cost:
    """Elements picked or placed by index: one task per PE, then scattered single accesses."""
    moved = tensors_of(node)[0]
    elements = site.share(min(moved.numel(), _index_elements(node)))
    compute = site.target.vector.task_cycles + elements / (
        site.target.sparsity.indexed_macs_per_cycle
    )
    sent = words(site.target.noc, elements, moved.element_size())
    distance = site.tilings.height + site.tilings.width - 2
    return Cost(compute, transfer(site.target.noc, sent, distance, 1))


def _index_elements(node: fx.Node) -> int:
    """Elements the indices address: those of the largest tensor among the later arguments."""
    later = [arg for arg in node.all_input_nodes[1:] if tensors_of(arg)]
    return max((tensors_of(arg)[0].numel() for arg in later), default=0)
