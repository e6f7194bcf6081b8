"""torch.fx graphs of programs: names of operators, specs of values, and parts of a graph."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from torch import Tensor, fx
from torch.fx._lazy_graph_module import _make_graph_module, _use_lazy_graph_module

from .program import StageProgram, TensorSpec

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


def operator_place(node: fx.Node) -> str:
    """A node's operator and the module and line that it is from, for messages."""
    return f"operator {node.target} in {node.meta.get('origin') or node.name}"


def has_declared_shape(value: Any, declared: Any) -> bool:
    """Whether arrays of any library have the shapes of what a node declares; an output declares
    none."""
    if isinstance(declared, (list, tuple)):
        return all(map(has_declared_shape, value, declared))
    return not isinstance(declared, Tensor) or value is None or value.shape == declared.shape


def packet_name(node: fx.Node) -> str:
    """'aten.linear' of a node that calls `aten.linear.default`; '' if it calls no operator."""
    return str(getattr(node.target, "overloadpacket", ""))


def graph_module(graph: fx.Graph) -> fx.GraphModule:
    """A module that runs `graph`. Its code is generated at the first call: most are never run."""
    with _use_lazy_graph_module(True):
        return _make_graph_module({}, graph)


def is_view(node: fx.Node) -> bool:
    """Whether a node is its operand in another shape."""
    return packet_name(node) in _VIEWS


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


def kept_inputs(program: StageProgram) -> tuple[int, ...]:
    """The inputs that a program's backward gives back as its forward saved them."""
    arguments = program.backward.graph.find_nodes(op="placeholder")
    first = len(program.parameters) + len(program.backward_state)
    saved = arguments[first : first + len(program.saved)]
    results = cast("Sequence[fx.Node]", program.backward.graph.output_node().args[0])
    given = zip(program.rebuilt, results[len(results) - len(program.rebuilt) :], strict=True)
    return tuple(number for number, node in given if node in saved)


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
