"""Which values a forward saves for its backward: those of the least bytes, by a minimum cut.

    h = relu(y); saved h                  h = relu(y); m = h <= 0; saved m
    backward: where(h <= 0, 0, grad)      backward: where(m, 0, grad)

What the backward computes of saved values alone, such as where a rectifier is closed, may be
computed by the forward as well, and what the forward computes may be computed again if one pass
over it does. Neither may read a weight: the backward is given other weights than the forward of
its sample was. A pass counts as one byte for each element that it makes.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import inf

import networkx as nx
from torch import Tensor, fx

from ...plan.program_graph import ancestors, is_view, packet_name, spec_of

_ONE_PASS = frozenset({"aten._to_copy", "aten.mul", "aten.div", "aten.add", "aten.sub", "aten.neg"})
"""Operators that are computed again if they have one operand beside constants."""

_FORWARD, _BACKWARD, _MADE, _READ = "forward", "backward", "made", "read"


@dataclass(frozen=True)
class JointValues:
    """The nodes of a joint graph in its order, and what is known of some.

    `forward` is what the results of the forward are computed from. `weights` depends on parameters
    and constants alone, which both phases are given; `late` is given to the backward only.
    """

    nodes: Sequence[fx.Node]
    forward: Collection[fx.Node]
    weights: Collection[fx.Node]
    late: Collection[fx.Node]
    gradients: Sequence[fx.Node]

    @cached_property
    def constants(self) -> set[fx.Node]:
        """Those of the weights that depend on no parameter."""
        found: set[fx.Node] = set()
        for node in self.nodes:
            is_made = node in self.weights and node.op != "placeholder"
            if is_made and found.issuperset(node.all_input_nodes):
                found.add(node)
        return found

    @cached_property
    def early(self) -> set[fx.Node]:
        """What the forward can compute beside weights: its own values, and what is made of them."""
        given = {*self.weights, *self.late}
        found = {node for node in self.nodes if node in self.forward and node not in given}
        for node in self.nodes:
            if node.op == "placeholder":
                found |= {node} - given
            elif node.op == "call_function" and node not in given:
                operands = self.operands(node)
                if operands and operands <= found:
                    found.add(node)
        return found

    def operands(self, node: fx.Node) -> set[fx.Node]:
        """What a node reads beside constants."""
        return set(node.all_input_nodes) - self.constants


def least_saved(values: JointValues) -> list[fx.Node]:
    """What the backward is given of the forward, in the order of the graph.

    Of cuts with as few bytes it is the one nearest to the inputs.
    """
    needed, early = ancestors(values.gradients), values.early
    graph = nx.DiGraph()
    graph.add_nodes_from((_FORWARD, _BACKWARD))
    for node in early & needed:
        graph.add_edge((node, _READ), (node, _MADE), capacity=_bytes(node))
        graph.add_edge((node, _MADE), _FORWARD, capacity=_passes(node, values))
    for node in needed:
        reader = (node, _MADE) if node in early else _BACKWARD
        for operand in early.intersection(node.all_input_nodes):
            graph.add_edge(reader, (operand, _READ), capacity=inf)
    for node in early.intersection(values.gradients):
        graph.add_edge(_BACKWARD, (node, _READ), capacity=inf)
    _, (_, before) = nx.minimum_cut(graph, _BACKWARD, _FORWARD)
    return [n for n in values.nodes if (n, _MADE) in before and (n, _READ) not in before]


def _bytes(node: fx.Node) -> float:
    """Those of a value; several values at once are not saved, but each by itself."""
    value = node.meta["val"]
    return spec_of(value).size_bytes if isinstance(value, Tensor) else inf


def _passes(node: fx.Node, values: JointValues) -> float:
    """Elements that the backward makes again to have a value; infinite if it must be given."""
    if node.op == "placeholder":
        return inf
    if node not in values.forward or is_view(node):
        return 0
    operands = values.operands(node)
    is_cheap = packet_name(node) in _ONE_PASS and len(operands) == 1
    return node.meta["val"].numel() if is_cheap and operands <= values.early else inf
