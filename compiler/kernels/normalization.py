"""Normalizations: per-group statistics, then passes that use them.

A group is what shares one mean and variance: a channel (Online Normalization), a group of channels
(group norm), a token (layer norm). Statistics are all-reduced over the PEs that hold a group; a PE
with several groups runs each pass once per group, in a loop.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import fx

from ..machine.collectives import AllReduce
from ..machine.cost import Cost
from .reduction import channel_sums, group_sums, last_axis_sums
from .roles import dtype_of, operand, operator_of, shape_of, tensors_of
from .site import Site


@dataclass(frozen=True)
class Passes:
    """Per element: vector passes. Per group: sums (as one message), scalar operations that update
    state or combine sums, and special functions (root, division)."""

    elements: int
    sums: int
    scalars: int
    special: int


NORMALIZATIONS: dict[str, Passes] = {
    # sum, sum of squares, subtract the mean, scale; then mean and variance move on
    "weft.online_norm.default": Passes(4, 2, 8, 2),
    # <g y>, <y y>, <g>, <y>; g - a y, scale, subtract; then u and v move on
    "weft.online_norm_backward.default": Passes(7, 4, 10, 1),
    # sum, sum of squares, subtract, scale, gamma, beta
    "aten.native_group_norm.default": Passes(6, 2, 4, 2),
    "aten.native_layer_norm.default": Passes(6, 2, 4, 2),
    # <g>, <g y> per group and per channel; three-term combination
    "aten.native_group_norm_backward.default": Passes(8, 4, 6, 0),
    "aten.native_layer_norm_backward.default": Passes(8, 4, 6, 0),
    # sum of squares, scale; the backward's <g v>, scale, combination. A group is a norm
    "aten._weight_norm_interface.default": Passes(2, 1, 2, 2),
    "aten._weight_norm_interface_backward.default": Passes(4, 1, 4, 1),
}

_APPLIED = Passes(2, 0, 2, 2)
"""Of Online Normalization with statistics from before the sample, where those after it are not
asked for, as where a value is computed again: subtract the mean, scale."""
_NEW_STATISTICS = 2
"""The results of `weft.online_norm` from this one on."""

_GROUPS_AT = {
    "aten._weight_norm_interface.default": 1,
    "aten._weight_norm_interface_backward.default": 3,
    "aten.native_group_norm_backward.default": 2,
    "aten.native_layer_norm_backward.default": 3,
}
"""Operator -> the position of an operand with one element per group."""


def normalization(node: fx.Node, site: Site, passes: Passes) -> Cost:
    """Cost of a normalization or its backward."""
    passes = _APPLIED if _is_applied_only(node) else passes
    value = tensors_of(operand(node, 0))[0]
    dtype = dtype_of(operand(node, 0))
    groups = _groups(node)
    elements = site.share(value.numel())
    groups_per_pe = np.minimum(site.share(groups), elements)
    vector = site.target.vector
    turns = passes.elements * groups_per_pe
    loops = np.where(groups_per_pe > 1, turns * (vector.issue_cycles + vector.loop_cycles), 0.0)
    compute = (
        loops
        + site.vector_cycles(elements, dtype, passes.elements)
        + site.vector_cycles(groups_per_pe, dtype, passes.scalars)
        + passes.special * vector.special_cycles * groups_per_pe
    )
    if not passes.sums:
        return Cost(compute, site.zeros())
    if operator_of(node).startswith("weft."):
        beside = site.roles.channels.get(node)
        sums = channel_sums(site, operand(node, 0), groups, passes.sums, beside)
    else:
        sums = _sums_of_groups(node, site, groups, passes.sums)
    return Cost(compute, sums.cycles(site.target.noc), sums=(sums,))


def _is_applied_only(node: fx.Node) -> bool:
    """Whether nobody reads the statistics with the sample."""
    read = (int(str(user.args[1])) for user in node.users)
    return operator_of(node) == "weft.online_norm.default" and all(
        n < _NEW_STATISTICS for n in read
    )


def _sums_of_groups(node: fx.Node, site: Site, groups: int, sums: int) -> AllReduce:
    """A group is a line of the last axis (layer norm), or lies together."""
    value = operand(node, 0)
    if groups * shape_of(value)[-1] == tensors_of(value)[0].numel():
        return last_axis_sums(value, site, groups, sums)
    return group_sums(site, value, groups, sums)


def _groups(node: fx.Node) -> int:
    """Statistics of one sample, from the operator's own results where it returns them."""
    name = operator_of(node)
    if name.startswith("weft."):
        return int(tensors_of(operand(node, 0))[0].shape[1])
    if name not in _GROUPS_AT:
        return max(1, tensors_of(node)[1].numel())
    return max(1, tensors_of(operand(node, _GROUPS_AT[name]))[0].numel())
