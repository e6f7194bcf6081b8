"""Sums, means, extrema and soft-max: local passes, then a reduction over PEs that share a result.

Features that a matrix product left lie along a line of PEs: the columns of a row for its results,
the rows that hold one slice of the positions for an input gradient. A sum of them (a soft-max of
scores, a norm of features) goes over as much of that line as they lie on, however few results there
are. Other tensors are laid so that what is summed together lies together: as many PEs hold parts of
one result as its elements fill, with the share of the tensor that each PE has (one PE holds several
results if there are more of them than PEs).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import fx

from ..machine.arrays import Ints, ceil_div
from ..machine.collectives import AllReduce, words
from ..machine.cost import Cost
from ..machine.product import ProductKind, products_beside
from ..machine.tilings import ALL_REDUCE
from .linear import batch_of, kind_of
from .roles import INPUTS, dtype_of, operand, shape_of, tensors_of
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


def group_sums(
    site: Site, summed: fx.Node, results: int, sums: int = 1, rounds: int = 1
) -> AllReduce:
    """All-reduces of `sums` sums for each of `results` over the PEs that hold its parts of a node's
    tensor, along rows of PEs first; where all lines of PEs hold the same, along one of them."""
    tilings, value = site.tilings, tensors_of(summed)[0]
    per_pe = words(site.target.noc, sums * site.share(results), value.element_size())
    pes = site.pes_per_result(results, value.numel())
    share = np.maximum(1, site.share(value.numel()))
    in_a_row = ceil_div(ceil_div(value.numel(), tilings.height), share)
    row = np.where(tilings.algorithm == ALL_REDUCE, pes, np.maximum(1, in_a_row))
    along = np.minimum(pes, row)
    one = np.ones_like(pes)
    return AllReduce(rounds, per_pe, along, ceil_div(pes, along), one, tilings.groups)


def channel_sums(
    site: Site, summed: fx.Node, channels: int, sums: int, beside: str | None
) -> AllReduce:
    """One all-reduce of `sums` sums for each of `channels` over all positions of a node's tensor.

    The output features of a product lie along the columns of PEs and the positions along the rows,
    so each column sums its own channels. Its input features lie with the rows that hold them: each
    row sums its own, over its PEs and then over the slices of the positions. Elsewhere what is
    summed lies together. `beside` says which of a product's features they are.
    """
    tilings = site.tilings
    if beside is None:
        return group_sums(site, summed, channels, sums)
    if beside == INPUTS:
        own = ceil_div(channels, tilings.in_split)
        along, across = tilings.width, np.minimum(tilings.height, tilings.space_split)
        spacing = np.where(tilings.is_square, 1, tilings.space_spacing)
    else:
        own = ceil_div(channels, tilings.width)
        along, across = tilings.height, ceil_div(tilings.width, channels)
        spacing = np.ones_like(along)
    per_pe = words(site.target.noc, own * sums, tensors_of(summed)[0].element_size())
    return AllReduce(1, per_pe, along, across, spacing, tilings.groups)


def reduction(node: fx.Node, site: Site, rounds: Rounds) -> Cost:
    """Cost of an operator whose result has one element per group of its operand's elements."""
    results = tensors_of(node)[0].numel()
    beside = site.roles.channels.get(node)
    if beside is None:
        return _cost(node, site, rounds, results, _is_of_last_axis(node))
    return _passes(node, site, rounds, channel_sums(site, operand(node, 0), results, 1, beside))


def last_axis_sums(
    node: fx.Node, site: Site, results: int, sums: int, rounds: int = 1
) -> AllReduce:
    """All-reduces of `sums` sums for each of `results` lines of the last axis of a node's tensor:
    over the PEs that the features lie on, if a matrix product left them, else `group_sums`."""
    product = site.roles.left_by.get(node)
    if product is None:
        return group_sums(site, node, results, sums, rounds)
    features, length = shape_of(product)[-1], shape_of(node)[-1]
    if kind_of(product, site) is ProductKind.INPUT_GRADIENT:
        line, spacing, beside = _rows(site)
    else:
        line, spacing, beside = _columns(site, batch_of(product))
    tilings = site.tilings
    held = ceil_div(features, line)
    pes = ceil_div(length, held)
    own = ceil_div(results, beside * np.maximum(1, ceil_div(features, held) // pes))
    per_pe = words(site.target.noc, own * sums, tensors_of(node)[0].element_size())
    left = beside // np.clip(results, 1, beside)
    left = np.where(tilings.algorithm == ALL_REDUCE, 1, left)
    turned = spacing > 0
    return AllReduce(
        rounds,
        per_pe,
        np.where(turned, np.minimum(left, tilings.width), pes),
        np.where(turned, pes, left),
        np.maximum(spacing, 1),
        tilings.groups,
    )


def _columns(site: Site, batch: int) -> tuple[Ints, Ints, Ints]:
    """Of results: the PEs of a row, and so many rows that hold others; 0: neighbours in a row."""
    tilings = site.tilings
    beside = products_beside(tilings, batch)
    rows = np.where(tilings.algorithm == ALL_REDUCE, beside, tilings.height)
    return tilings.width, np.zeros_like(rows), rows


def _rows(site: Site) -> tuple[Ints, Ints, Ints]:
    """Of input gradients: the rows with one slice of the positions and the hops between them, and
    so many such lines that hold others. A square region cuts all matrices alike."""
    tilings = site.tilings
    lines = np.where(tilings.algorithm == ALL_REDUCE, 1, tilings.space_split * tilings.width)
    found = zip((tilings.in_split, tilings.in_spacing, lines), _columns(site, 1), strict=True)
    line, spacing, beside = (np.where(tilings.is_square, other, own) for own, other in found)
    return line, spacing, beside


def along_dimension(node: fx.Node, site: Site, rounds: Rounds) -> Cost:
    """Cost of a (log-)soft-max, its backward, or a scan: one group per line of a dimension."""
    shape = tensors_of(operand(node, 0))[0].shape
    dim = node.args[1] if isinstance(node.args[1], int) else node.args[2]
    is_last = isinstance(dim, int) and bool(shape) and dim % len(shape) == len(shape) - 1
    along = shape[dim] if isinstance(dim, int) and shape else 1
    results = max(1, tensors_of(node)[0].numel() // max(1, along))
    return _cost(node, site, rounds, results, is_last)


def ordering(node: fx.Node, site: Site, position: int) -> Cost:
    """Cost of sorting lines of n values: a bitonic network of L (L + 1) / 2 stages, L = log2 n.

    A stage compares, and selects twice; its L merges cross PEs like a reduction does.
    """
    value = tensors_of(operand(node, 0))[0]
    last = node.args[position] if len(node.args) > position else node.kwargs.get("dim", -1)
    along = max(2, value.shape[last] if isinstance(last, int) and value.ndim else 1)
    depth = (along - 1).bit_length()
    rounds = Rounds(3 * depth * (depth + 1) / 2, 0, depth)
    is_last = isinstance(last, int) and last % max(1, value.ndim) == value.ndim - 1
    return _cost(node, site, rounds, max(1, value.numel() // along), is_last)


def _is_of_last_axis(node: fx.Node) -> bool:
    """Whether a reduction goes over its operand's last axis alone."""
    rank = len(shape_of(operand(node, 0)))
    axes = node.args[1] if len(node.args) > 1 else node.kwargs.get("dim")
    axes = axes if isinstance(axes, Sequence) else (axes,)
    return len(axes) == 1 and isinstance(axes[0], int) and axes[0] % max(1, rank) == rank - 1


def _cost(node: fx.Node, site: Site, rounds: Rounds, results: int, is_last: bool) -> Cost:
    source = operand(node, 0)
    if is_last:
        sums = last_axis_sums(source, site, results, 1, rounds.reductions)
    else:
        sums = group_sums(site, source, results, rounds=rounds.reductions)
    return _passes(node, site, rounds, sums)


def _passes(node: fx.Node, site: Site, rounds: Rounds, sums: AllReduce) -> Cost:
    """Over the elements of a node's operand, and the sums of what they leave on each PE."""
    elements = site.elements(operand(node, 0))
    cycles = site.vector_cycles(elements, dtype_of(operand(node, 0)), rounds.passes)
    special = rounds.special * site.target.vector.special_cycles * elements
    return Cost(cycles + special, sums.cycles(site.target.noc), sums=(sums,))
