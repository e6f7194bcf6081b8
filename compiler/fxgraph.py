"""Small operations on torch.fx graphs that several steps of the compiler share."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, fx

from .program import TensorSpec

KEPT_META = ("val", "origin")


def spec_of(value: Tensor) -> TensorSpec:
    """Shape and dtype of a (fake) tensor."""
    return TensorSpec(tuple(int(size) for size in value.shape), str(value.dtype).split(".")[-1])


def packet_name(node: fx.Node) -> str:
    """'aten.linear' of a node that calls `aten.linear.default`; '' if it calls no operator."""
    return str(getattr(node.target, "overloadpacket", ""))


def forget_strides(graph: fx.Graph) -> None:
    """Make views reshapes: across a stage boundary a value keeps its shape, not its strides."""
    for node in graph.nodes:
        if packet_name(node) in ("aten.view", "aten._unsafe_view"):
            node.target = torch.ops.aten.reshape.default


def ancestors(results: Sequence[fx.Node], stop: Sequence[fx.Node] = ()) -> set[fx.Node]:
    """`results` and all they are computed from, not going past `stop` (which is left out)."""
    barrier = set(stop)
    found: set[fx.Node] = set()
    pending = list(results)
    while pending:
        node = pending.pop()
        if node not in found and node not in barrier:
            found.add(node)
            pending.extend(node.all_input_nodes)
    return found


def extract(inputs: Sequence[fx.Node], outputs: Sequence[fx.Node]) -> fx.GraphModule:
    """The part of a graph that computes `outputs` from `inputs`, as a graph of its own.

    Keeps each node's name, `meta["val"]` and `meta["origin"]`. The inputs become placeholders in
    the order given, the outputs one tuple.
    """
    needed = ancestors(outputs, stop=inputs)
    graph = fx.Graph()
    copies: dict[fx.Node, fx.Node] = {}
    for node in inputs:
        copies[node] = graph.placeholder(node.name)
        copies[node].meta = {"val": node.meta["val"]}
    source = next(iter([*inputs, *outputs])).graph
    for node in source.nodes:
        if node in needed:
            copies[node] = graph.node_copy(node, copies.__getitem__)
            copies[node].meta = {key: node.meta[key] for key in KEPT_META if key in node.meta}
    graph.output(tuple(copies[node] for node in outputs))
    return fx.GraphModule({}, graph)
