"""The finest cut: which node of a captured graph belongs to which stage.

The rule (9n+7 stages for a pre-activation CIFAR ResNet-(6n+2)):
1. Each layer with weights (convolution, linear, embedding, recurrent), each product of two
   activations and each residual sum is an anchor and gets a stage of its own; so does the loss.
   A layer with an adapter (W0 x + s B A x) is one layer, with its three products.
2. Anything else joins the one stage that reads it: a normalization and its activation go with the
   layer they feed.
3. What several stages read is a stage of its own if it has parameters (a shared normalization);
   otherwise it joins the stage that produced its latest operand.
Nodes that depend on weights and constants alone belong to no stage: every reader gets a copy.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import networkx as nx
from torch import fx

from ...backend.errors import UnsupportedError
from ..capture.graph import Graph
from ..plan.program_graph import ancestors, packet_name

CONTRACTIONS = frozenset(
    {
        "aten.convolution",
        "aten.conv1d",
        "aten.conv2d",
        "aten.conv3d",
        "aten.linear",
        "aten.addmm",
        "aten.mm",
        "weft.routed_mm",
        "aten.bmm",
        "aten.matmul",
        "aten.baddbmm",
        "aten.einsum",
        "aten.embedding",
        "aten.scaled_dot_product_attention",
        "aten.lstm",
        "aten.gru",
        "aten.rnn_tanh",
        "aten.rnn_relu",
    }
)
"""Operators that are layers with weights, or products of activations."""


@dataclass(frozen=True)
class Assignment:
    """Which node belongs to which stage: indices count from 0 in pipeline order.

    Of every stage: the path of the module it is, and whether it is several finest stages `merged`.
    `edges` are pairs of stages, (read by, reads).
    """

    stage_of: Mapping[fx.Node, int]
    modules: tuple[str, ...]
    merged: tuple[bool, ...]
    edges: frozenset[tuple[int, int]]


@dataclass(frozen=True)
class Group:
    """One stage for each layer with weights, each product of activations, each residual sum.

    before: %h = aten.relu(aten.linear(%x, %w0))    after: stage 0: a.0 (linear, relu)
            %y = aten.linear(%h, %w1)                      stage 1: a.1 (linear)
            %loss = aten.mse_loss(%y, %target)             stage 2: (mse_loss)
    """

    def __call__(self, graph: Graph) -> Assignment:
        return assign(graph)


def assign(graph: Graph, apart: Mapping[fx.Node, str] | None = None) -> Assignment:
    """The finest stage of every node that depends on the sample.

    No stage has nodes of two of the modules in `apart`, or of one and of none.
    """
    groups = _Groups(graph, apart or {})
    groups.gather_upstream()
    groups.settle_shared()
    groups.attach_followers()
    return groups.in_pipeline_order()


def sample_dependent(graph: Graph) -> set[fx.Node]:
    """The call nodes that depend on the sample, not on weights and constants alone.

    A random mask depends on the sample's number.
    """
    names = set(graph.inputs)
    dependent: set[fx.Node] = set()
    for node in graph.module.graph.nodes:
        is_source = node.name in names or packet_name(node) == "weft.uniform"
        is_call = node.op == "call_function"
        if is_source or (is_call and any(arg in dependent for arg in node.all_input_nodes)):
            dependent.add(node)
    return {node for node in dependent if node.op == "call_function"}


def _constant_loss() -> UnsupportedError:
    return UnsupportedError(
        "the loss",
        expected="a loss that depends on the sample, and on the weights",
        got="one of weights and constants alone: it is the same for every sample",
        change="let forward read its inputs; a detach, a shape or zeros_like reads no numbers",
    )


class _Groups:
    """Node -> anchor node, built in two sweeps over the graph."""

    def __init__(self, graph: Graph, apart: Mapping[fx.Node, str]) -> None:
        self.graph, self.apart = graph, apart
        self.order = {node: i for i, node in enumerate(graph.module.graph.nodes)}
        self.dependent = sample_dependent(graph)
        self.loss = graph.node(graph.loss)
        if self.loss not in self.dependent:
            raise _constant_loss()
        self.with_anchor_before = self._downstream_of_contractions()
        self.live = self._leading_to_results()
        self.anchor: dict[fx.Node, fx.Node] = {}

    def _leading_to_results(self) -> set[fx.Node]:
        """Sample-dependent calls the loss or a prediction needs; the rest computes next states."""
        results = [self.graph.node(name) for name in (self.graph.loss, *self.graph.predictions)]
        return ancestors(results) & self.dependent

    def _downstream_of_contractions(self) -> set[fx.Node]:
        """Nodes at or after a contraction: only there can a sum be a residual sum."""
        found: set[fx.Node] = set()
        for node in self.graph.module.graph.nodes:
            if node not in self.dependent:
                continue
            if packet_name(node) in CONTRACTIONS or found & set(node.all_input_nodes):
                found.add(node)
        return found

    def is_anchor(self, node: fx.Node) -> bool:
        if layer := self.adapted(node):
            return any(self.adapted(reader) != layer for reader in self.readers(node))
        return node is self.loss or packet_name(node) in CONTRACTIONS or self._is_residual_sum(node)

    def adapted(self, node: fx.Node) -> str:
        """Path of the layer with an adapter that the node is part of; '' if there is none."""
        parts = node.meta["origin"].module.split(".")
        paths = (".".join(parts[:count]) for count in range(len(parts) + 1))
        return next((path for path in paths if path in self.graph.adapted), "")

    def _is_residual_sum(self, node: fx.Node) -> bool:
        if packet_name(node) not in ("aten.add", "aten.add_"):
            return False
        operands = [arg for arg in node.args[:2] if isinstance(arg, fx.Node)]
        shape = node.meta["val"].shape
        return (
            len(operands) == 2
            and len(shape) > 1
            and all(arg in self.with_anchor_before for arg in operands)
            and all(arg.meta["val"].shape == shape for arg in operands)
            and not any(self._is_row_of_parameter(arg) for arg in operands)
        )

    def _is_row_of_parameter(self, node: fx.Node) -> bool:
        """A bias that is looked up, such as that of the expert a token is routed to."""
        looked_up = node.args[0] if packet_name(node) == "aten.index" else None
        return isinstance(looked_up, fx.Node) and looked_up.name in self.graph.parameters

    def readers(self, node: fx.Node) -> list[fx.Node]:
        """What reads `node` on the way to the results; to read an item is to read its tuple."""
        found: list[fx.Node] = []
        for user in node.users:
            if user.target is operator.getitem:
                found += self.readers(user)
            elif user in self.live:
                found.append(user)
        return found

    def gather_upstream(self) -> None:
        """Backwards: a node joins the group of its readers if they agree; else it waits alone."""
        for node in sorted(self.live, key=self.order.__getitem__, reverse=True):
            if node.target is operator.getitem:
                continue
            readers = self.readers(node)
            groups = {self.anchor[reader] for reader in readers}
            leaves = any(self.apart.get(r) != self.apart.get(node) for r in readers)
            if self.is_anchor(node) or leaves or len(groups) != 1:
                self.anchor[node] = node
            else:
                self.anchor[node] = groups.pop()

    def settle_shared(self) -> None:
        """Forwards: groups without an anchor become stages if they hold parameters, or merge."""
        groups: dict[fx.Node, list[fx.Node]] = {}
        for node, head in self.anchor.items():
            groups.setdefault(head, []).append(node)
        for head in sorted(groups, key=self.order.__getitem__):
            members = groups[head]
            if any(map(self.is_anchor, members)) or any(map(self._has_parameter, members)):
                continue
            if any(member in self.apart for member in members):
                continue
            into = self._producer_or_reader(members) or self.loss
            self._merge(members, into)
            groups.setdefault(into, []).extend(members)

    def _has_parameter(self, node: fx.Node) -> bool:
        placeholders = self.graph.parameters
        pending, seen = list(node.all_input_nodes), set()
        while pending:
            current = pending.pop()
            if current in seen or current in self.dependent:
                continue
            seen.add(current)
            if current.name in placeholders:
                return True
            pending.extend(current.all_input_nodes)
        return False

    def _producer_or_reader(self, members: Iterable[fx.Node]) -> fx.Node | None:
        inside = set(members)
        operands = {self._producer(arg) for node in inside for arg in node.all_input_nodes}
        producers = [self.anchor[arg] for arg in (operands & self.dependent) - inside]
        if producers:
            return max(producers, key=self.order.__getitem__)
        readers = {self.anchor[user] for node in inside for user in self.readers(node)} - inside
        return min(readers, key=self.order.__getitem__, default=None)

    def _producer(self, node: fx.Node) -> fx.Node:
        """The call behind an item of a tuple."""
        while node.target is operator.getitem:
            node = node.all_input_nodes[0]
        return node

    def _merge(self, members: Iterable[fx.Node], anchor: fx.Node) -> None:
        for node in members:
            self.anchor[node] = anchor

    def attach_followers(self) -> None:
        """Items of a tuple go with it; what only computes a next state goes with its operands."""
        for node in sorted(self.dependent, key=self.order.__getitem__):
            if node not in self.anchor:
                operands = [self.anchor[arg] for arg in node.all_input_nodes if arg in self.anchor]
                self.anchor[node] = max(operands, key=self.order.__getitem__, default=self.loss)

    def in_pipeline_order(self) -> Assignment:
        stages = nx.DiGraph()
        stages.add_nodes_from(self.anchor.values())
        for node, anchor in self.anchor.items():
            for reader in self.readers(node):
                if self.anchor[reader] is not anchor:
                    stages.add_edge(anchor, self.anchor[reader])
        ordered = list(nx.lexicographical_topological_sort(stages, key=self._position))
        index = {anchor: i for i, anchor in enumerate(ordered)}
        return Assignment(
            stage_of={node: index[anchor] for node, anchor in self.anchor.items()},
            modules=tuple(anchor.meta["origin"].module for anchor in ordered),
            merged=(False,) * len(ordered),
            edges=self._edges(index),
        )

    def _edges(self, index: Mapping[fx.Node, int]) -> frozenset[tuple[int, int]]:
        stage_of = {node: index[anchor] for node, anchor in self.anchor.items()}
        pairs = (
            (stage_of[argument], stage)
            for node, stage in stage_of.items()
            for argument in node.all_input_nodes
            if argument in stage_of
        )
        return frozenset((source, sink) for source, sink in pairs if source != sink)

    def _position(self, anchor: fx.Node) -> tuple[bool, int]:
        """Program order, but the loss always last."""
        return anchor is self.loss, self.order[anchor]
