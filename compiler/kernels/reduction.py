"""Sums, means, extrema and soft-max: local passes, then a reduction over PEs that share a result.

Tensors are laid so that what is summed together lies together: with R results and A PEs, groups of
A / R PEs hold the parts of one result (one PE holds several results if R > A).
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import fx

from .collectives import AllReduce, words
from .roles import dtype_of, operand, tensors_of
from .site import Cost, Site
from .tilings import ceil_div


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
    "aten.cumprod.default": Rounds(2, 0, 1),
    "aten.cumsum.default": Rounds(2, 0, 1),
}

ORDERINGS: dict[str, int] = {
    # operator -> position of the dimension among its arguments
    "aten.sort.default": 1,
    "aten.sort.stable": 2,
    "aten.topk.default": 2,
}


def group_sums(site: Site, results: int, itemsize: int, rounds: int = 1) -> AllReduce:
    """All-reduces of `results` sums over the PEs that hold their parts."""
    per_pe = words(site.target.noc, site.share(results), itemsize)
    return AllReduce(rounds, per_pe, site.pes_per_result(results), site.tilings.width)


def channel_sums(site: Site, channels: int, sums: int, itemsize: int) -> AllReduce:
    """One all-reduce of `sums` sums for each of `channels` over all positions.

    Beside a product its out features lie along the columns and the positions along the rows of PEs,
    so each column sums its own channels. Elsewhere what is summed lies together.
    """
    if not site.weights:
        return group_sums(site, channels * sums, itemsize)
    tilings = site.tilings
    per_pe = words(site.target.noc, ceil_div(channels, tilings.width) * sums, itemsize)
    pes = tilings.height * ceil_div(tilings.width, channels)
    return AllReduce(1, per_pe, pes, tilings.height)


def reduction(node: fx.Node, site: Site, rounds: Rounds) -> Cost:
    """Cost of an operator whose result has one element per group of its operand's elements."""
    results = tensors_of(node)[0].numel()
    return _cost(node, site, rounds, results)


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
    elements = site.share(value.numel())
    dtype = dtype_of(operand(node, 0))
    cycles = site.vector_cycles(elements, dtype, rounds.passes)
    special = rounds.special * site.target.vector.special_cycles * elements
    sums = group_sums(site, results, value.element_size(), rounds.reductions)
    return Cost(cycles + special, sums.cycles(site.target.noc), sums=(sums,))
