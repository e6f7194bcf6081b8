"""Small operations on torch.fx graphs that several steps of the compiler share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, fx
from torch.fx._lazy_graph_module import _make_graph_module, _use_lazy_graph_module

from ..plan.program import TensorSpec

KEPT_META = ("val", "origin")
_VIEWS = frozenset(
    {
        "aten.reshape",
        "aten.permute",
        "aten.t",
        "aten.transpose",
        "aten.expand",
        "aten.unsqueeze",
        "aten.squeeze",
    }
)


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


def forget_devices(graph: fx.Graph) -> None:
    """New tensors are made on the CPU: a plan does not know where its model was captured."""
    for node in graph.nodes:
        if isinstance(node.kwargs.get("device"), torch.device):
            node.kwargs = {**node.kwargs, "device": torch.device("cpu")}


def forget_checks(graph: fx.Graph) -> None:
    """Remove the assertions of the trace: shapes and dtypes are fixed."""
    for node in list(graph.nodes):
        if node.op == "call_function" and packet_name(node).startswith("aten._assert"):
            graph.erase_node(node)


def forget_copies(graph: fx.Graph) -> None:
    """What functionalization writes as a copy over a value is the copied value in its shape."""
    for node in graph.find_nodes(op="call_function", target=torch.ops.aten.copy.default):
        value, source = node.meta["val"], node.all_input_nodes[-1]
        if source.meta["val"].dtype is not value.dtype:
            source = _insert(node, torch.ops.aten._to_copy.default, source, dtype=value.dtype)
        if source.meta["val"].shape != value.shape:
            source = _insert(node, torch.ops.aten.expand.default, source, list(value.shape))
        node.replace_all_uses_with(source)
        graph.erase_node(node)


def _insert(before: fx.Node, target: Callable, operand: fx.Node, *args: Any, **named: Any):
    """A call before `before`, with its place in the source."""
    with before.graph.inserting_before(before):
        new = before.graph.call_function(target, (operand, *args), named)
    value = operand.meta["val"]
    with value.fake_mode:
        new.meta = {**before.meta, "val": target(value, *args, **named)}
    return new


def graph_module(graph: fx.Graph) -> fx.GraphModule:
    """A module that runs `graph`. Its code is generated at the first call: most are never run."""
    with _use_lazy_graph_module(True):
        return _make_graph_module({}, graph)


def is_view(node: fx.Node) -> bool:
    """Whether a node is its operand in another shape."""
    return packet_name(node) in _VIEWS


def replace_mutations(graph: fx.Graph) -> None:
    """Make in-place operators on values of their own functional; later readers get the result.

    An operator that changes a view of another value stays: it has no kernel and is reported.
    """
    order = {node: position for position, node in enumerate(graph.nodes)}
    for node in list(graph.nodes):
        name = packet_name(node).partition(".")[2]
        if not name.endswith("_") or name.startswith("_") or is_view(node.all_input_nodes[0]):
            continue
        changed = node.all_input_nodes[0]
        overload = node.target._overloadname  # type: ignore[union-attr]
        node.target = getattr(getattr(torch.ops.aten, name[:-1]), overload)
        for user in list(changed.users):
            if order[user] > order[node]:
                user.replace_input_with(changed, node)


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
    for node in sorted(needed):  # in the order of the graph
        copies[node] = graph.node_copy(node, copies.__getitem__)
        copies[node].meta = {key: node.meta[key] for key in KEPT_META if key in node.meta}
    graph.output(tuple(copies[node] for node in outputs))
    return graph_module(graph)
