"""Sums, means, extrema and soft-max: local passes, then a reduction over PEs that share a result.

Tensors are laid so that what is summed together lies together: with R results and A PEs, groups of
A / R PEs hold the parts of one result (one PE holds several results if R > A).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import fx

from ..machine.arrays import ceil_div
from ..machine.collectives import AllReduce, words
from ..machine.cost import Cost
from ..machine.tilings import ALL_REDUCE
from .roles import INPUTS, dtype_of, operand, tensors_of
from .site import Site


@dataclass(frozen=True)
class Rounds:
    """Per element of the operand: vector passes and special functions; and how many reductions."""

    passes: float
    special: float
    reductions: int


_SUM = Rounds(1, 0, 1)

REDUCTIONS: dict[str, Rounds] = {
    "aten.amax.default": _SUM,
    "aten.amin.default": _SUM,
    "aten.any.default": _SUM,
    "aten.any.dim": _SUM,
    "aten.any.dims": _SUM,
    "aten.argmax.default": Rounds(2, 0, 1),
    "aten.argmin.default": Rounds(2, 0, 1),
    "aten.linalg_vector_norm.default": Rounds(2, 0, 1),
    "aten.max.default": _SUM,
    "aten.max.dim": Rounds(2, 0, 1),
    "aten.mean.default": _SUM,
    "aten.mean.dim": _SUM,
    "aten.min.default": _SUM,
    "aten.min.dim": Rounds(2, 0, 1),
    "aten.prod.default": _SUM,
    "aten.prod.dim_int": _SUM,
    "aten.sum.default": _SUM,
    "aten.sum.dim_IntList": _SUM,
    "aten.var.correction": Rounds(3, 0, 2),
    "aten.var_mean.correction": Rounds(3, 0, 2),
}

SOFTMAX: dict[str, Rounds] = {
    # maximum; subtract, exponential, sum; scale or subtract the logarithm
    "aten._softmax.default": Rounds(4, 1, 2),
    "aten._log_softmax.default": Rounds(4, 1, 2),
    # product, sum, multiply-subtract; log-soft-max needs the exponential of its output
    "aten._softmax_backward_data.default": Rounds(3, 0, 1),
    "aten._log_softmax_backward_data.default": Rounds(3, 1, 1),
}


SCANS: dict[str, Rounds] = {
    # running sum of a PE's part; then the sum of all parts before it, which is added
    "aten.cummax.default": Rounds(3, 0, 1),
    "aten.cummin.default": Rounds(3, 0, 1),
    "aten.cumprod.default": Rounds(2, 0, 1),
    "aten.cumsum.default": Rounds(2, 0, 1),
    "aten.logcumsumexp.default": Rounds(4, 2, 2),  # with the running maximum
}

ORDERINGS: dict[str, int] = {
    # operator -> position of the dimension among its arguments
    "aten.sort.default": 1,
    "aten.sort.stable": 2,
    "aten.topk.default": 2,
}


def group_sums(site: Site, results: int, itemsize: int, rounds: int = 1) -> AllReduce:
    """All-reduces of `results` sums over the PEs that hold their parts, along rows of PEs first;
    where all lines of PEs hold the same, along one of them."""
    tilings = site.tilings
    per_pe = words(site.target.noc, site.share(results), itemsize)
    pes = site.pes_per_result(results)
    row = np.where(tilings.algorithm == ALL_REDUCE, pes, tilings.width)
    along = np.minimum(pes, row)
    one = np.ones_like(pes)
    return AllReduce(rounds, per_pe, along, ceil_div(pes, along), one, tilings.groups)


def channel_sums(
    site: Site, channels: int, sums: int, itemsize: int, beside: str | None
) -> AllReduce:
    """One all-reduce of `sums` sums for each of `channels` over all positions.

    The output features of a product lie along the columns of PEs and the positions along the rows,
    so each column sums its own channels. Its input features lie with the rows that hold them: each
    row sums its own, over its PEs and then over the slices of the positions. Elsewhere what is
    summed lies together. `beside` says which of a product's features they are.
    """
    tilings = site.tilings
    if beside is None:
        return group_sums(site, channels * sums, itemsize)
    if beside == INPUTS:
        own = ceil_div(channels, tilings.in_split)
        along, across = tilings.width, np.minimum(tilings.height, tilings.space_split)
        spacing = np.where(tilings.is_square, 1, tilings.space_spacing)
    else:
        own = ceil_div(channels, tilings.width)
        along, across = tilings.height, ceil_div(tilings.width, channels)
        spacing = np.ones_like(along)
    per_pe = words(site.target.noc, own * sums, itemsize)
    return AllReduce(1, per_pe, along, across, spacing, tilings.groups)


def reduction(node: fx.Node, site: Site, rounds: Rounds) -> Cost:
    """Cost of an operator whose result has one element per group of its operand's elements."""
    results = tensors_of(node)[0].numel()
    beside = site.roles.channels.get(node)
    if beside is None:
        return _cost(node, site, rounds, results)
    size = tensors_of(operand(node, 0))[0].element_size()
    return _passes(node, site, rounds, channel_sums(site, results, 1, size, beside))


def along_dimension(node: fx.Node, site: Site, rounds: Rounds) -> Cost:
    """Cost of a (log-)soft-max, its backward, or a scan: one group per line of a dimension."""
    shape = tensors_of(operand(node, 0))[0].shape
    dim = node.args[1] if isinstance(node.args[1], int) else node.args[2]
    along = shape[dim] if isinstance(dim, int) and shape else 1
    return _cost(node, site, rounds, max(1, tensors_of(node)[0].numel() // max(1, along)))


def ordering(node: fx.Node, site: Site, position: int) -> Cost:
    """Cost of sorting lines of n values: a bitonic network of L (L + 1) / 2 stages, L = log2 n.

    A stage compares, and selects twice; its L merges cross PEs like a reduction does.
    """
    value = tensors_of(operand(node, 0))[0]
    last = node.args[position] if len(node.args) > position else node.kwargs.get("dim", -1)
    along = max(2, value.shape[last] if isinstance(last, int) and value.ndim else 1)
    depth = (along - 1).bit_length()
    rounds = Rounds(3 * depth * (depth + 1) / 2, 0, depth)
    return _cost(node, site, rounds, max(1, value.numel() // along))


def _cost(node: fx.Node, site: Site, rounds: Rounds, results: int) -> Cost:
    value = tensors_of(operand(node, 0))[0]
    sums = group_sums(site, results, value.element_size(), rounds.reductions)
    return _passes(node, site, rounds, sums)


def _passes(node: fx.Node, site: Site, rounds: Rounds, sums: AllReduce) -> Cost:
    """Over the elements of a node's operand, and the sums of what they leave on each PE."""
    elements = site.share(tensors_of(operand(node, 0))[0].numel())
    cycles = site.vector_cycles(elements, dtype_of(operand(node, 0)), rounds.passes)
    special = rounds.special * site.target.vector.special_cycles * elements
    return Cost(cycles + special, sums.cycles(site.target.noc), sums=(sums,))
