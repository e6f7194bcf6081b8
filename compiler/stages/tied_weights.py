"""Tensors that several stages read: the first of them owns it and streams it to the others.

    stage 0: rows = embedding(%w, tokens)              stage 0: rows = ...; sent = clone(%w)
    stage 9: logits = linear(x, %w)           ->       stage 9: logits = linear(x, sent)

So a tied weight has one owner, which updates it with the sum of its own gradient and the gradients
that come back on the streams. A hook of the user's on its gradient gets that sum: the owner sends
what is behind the hook. Every reader sees the version that the owner's forward of the same
sample used. Weights that end up in one stage need no stream.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import torch
from torch import fx

from ..capture.custom_backward.call import CustomCall
from ..capture.custom_backward.record import Hooked
from ..capture.graph import Graph
from ..plan.program_graph import graph_module
from .buffer_owners import owners, stages_reading

StageOf = dict[fx.Node, int]


def stream_shared(graph: Graph, stage_of: Mapping[fx.Node, int]) -> tuple[Graph, StageOf]:
    """The graph with a stream for every shared parameter and buffer, and its nodes' stages.

    Given graphs are not changed: the result is a copy, or the same graph if nothing is shared.
    """
    readers, kept = stages_reading(graph, stage_of), owners(graph, stage_of)
    shared = {
        node.name: kept.get(node, min(stages))
        for node, stages in readers.items()
        if len(stages) > 1 or (node in kept and stages - {kept[node]})
    }
    if not shared:
        return graph, dict(stage_of)
    graph, copied = _copy(graph, stage_of)
    _Streams(graph, copied, shared).insert()
    return graph, copied


def _copy(graph: Graph, stage_of: Mapping[fx.Node, int]) -> tuple[Graph, StageOf]:
    copy = fx.Graph()
    copies: dict[fx.Node, fx.Node] = {}
    for node in graph.module.graph.nodes:
        copies[node] = copy.node_copy(node, copies.__getitem__)
        copies[node].name = node.name
    module = graph_module(copy)
    return replace(graph, module=module), {copies[node]: stage for node, stage in stage_of.items()}


def _hooks(node: fx.Node) -> Iterator[fx.Node]:
    """The hooks on the gradient of a parameter, through which all read it, the nearest first."""
    while len(node.users) == 1:
        (node,) = node.users
        if not (isinstance(node.target, CustomCall) and isinstance(node.target.run, Hooked)):
            return
        yield node


class _Streams:
    """Inserts the streams of `shared` (placeholder name -> owning stage) into a graph."""

    def __init__(self, graph: Graph, stage_of: StageOf, shared: Mapping[str, int]) -> None:
        self.graph, self.stage_of, self.shared = graph.module.graph, stage_of, shared
        self.sent: dict[str, fx.Node] = {}
        self.hooked: dict[fx.Node, str] = {}
        self.clones: dict[tuple[fx.Node, int], fx.Node] = {}

    def insert(self) -> None:
        nodes = list(self.graph.nodes)
        self.sent = {node.name: self._send(node) for node in nodes if node.name in self.shared}
        for node in (node for node in nodes if node in self.stage_of):
            for argument in node.all_input_nodes:
                arrived = self._arrived(argument, self.stage_of[node], node)
                if arrived is not argument:
                    node.replace_input_with(argument, arrived)

    def _send(self, node: fx.Node) -> fx.Node:
        last = [other for other in self.graph.nodes if other.op == "placeholder"][-1]
        reader = next(user for user in self.stage_of if self._reads(user, node))
        hooks = list(_hooks(node))
        self.stage_of |= dict.fromkeys(hooks, self.shared[node.name])
        self.hooked |= dict.fromkeys(hooks, node.name)
        with self.graph.inserting_after(hooks[-1] if hooks else last):
            sent = self.graph.call_function(torch.ops.aten.clone.default, ((node, *hooks)[-1],))
        sent.meta = {"val": node.meta["val"], "origin": reader.meta["origin"]}
        self.stage_of[sent] = self.shared[node.name]
        return sent

    def _reads(self, user: fx.Node, node: fx.Node) -> bool:
        return self.stage_of[user] == self.shared[node.name] and user.op == "call_function"

    def _arrived(self, node: fx.Node, stage: int, reader: fx.Node) -> fx.Node:
        """What `stage` reads in the place of `node`: a stream, or a node recomputed from one."""
        name = self.hooked.get(node, node.name)
        if name in self.shared:
            return node if self.shared[name] == stage else self.sent[name]
        if node.op != "call_function" or node in self.stage_of:
            return node
        key = node, stage
        if key not in self.clones:
            self.clones[key] = self._recomputed(node, stage, reader)
        return self.clones[key]

    def _recomputed(self, node: fx.Node, stage: int, reader: fx.Node) -> fx.Node:
        arrived = {arg: self._arrived(arg, stage, reader) for arg in node.all_input_nodes}
        if all(arg is value for arg, value in arrived.items()):
            return node
        with self.graph.inserting_before(reader):
            clone = self.graph.node_copy(node, arrived.__getitem__)
        self.stage_of[clone] = stage
        return clone
