"""A joint graph whose operators change views in place, made functional by torch.

    %z = full([6], 0)                            %z = full([6], 0)
    %s = slice(%z, 0, 0, 3)                %s = copy(slice(%z, 0, 0, 3), %g)
    %c = copy_(%s, %g)                     ->    %n = slice_scatter(%z, %s, 0, 0, 3)
    return %z                                    return %n

Decompositions of backwards write so. Operators that change a tensor of their own, which no other
value is a view of, are left to `replace_mutations`: they are most, and torch traces anew.
"""

from __future__ import annotations

import torch
from torch import fx
from torch._ops import OpOverload
from torch.fx.experimental.proxy_tensor import make_fx
from torch.fx.traceback import preserve_node_meta

_KEPT = ("origin", "sequence")


def functionalized(graph: fx.Graph) -> fx.Graph:
    """The graph without changes of what others are views of; itself if there are none."""
    if not any(map(_changes_shared_memory, graph.nodes)):
        return graph
    module = fx.GraphModule({}, _labelled(graph))
    placeholders = graph.find_nodes(op="placeholder")
    values = [node.meta["val"] for node in placeholders]
    mode = values[0].fake_mode
    run = torch.func.functionalize(fx.Interpreter(module).run, remove="mutations")
    with mode, preserve_node_meta():
        made = make_fx(run, tracing_mode="real")(*values).graph
    return _restored(made, placeholders)


def _changes_shared_memory(node: fx.Node) -> bool:
    target = node.target
    if not isinstance(target, OpOverload) or not target._schema.is_mutable:
        return False
    changed = node.all_input_nodes[0]
    return _is_view(changed) or any(map(_is_view, changed.users))


def _is_view(node: fx.Node) -> bool:
    """Whether the result shares the memory of an operand, by the operator's schema."""
    if not isinstance(node.target, OpOverload):
        return False
    infos = [result.alias_info for result in node.target._schema.returns]
    return any(info is not None and not info.is_write for info in infos)


def _labelled(graph: fx.Graph) -> fx.Graph:
    """A copy whose nodes carry what must survive a trace where torch keeps it."""
    copy = fx.Graph()
    copies: dict[fx.Node, fx.Node] = {}
    for node in graph.nodes:
        copies[node] = copy.node_copy(node, copies.__getitem__)
        kept = {key: node.meta[key] for key in _KEPT if key in node.meta}
        copies[node].meta = {"custom": kept}
    return copy


def _restored(graph: fx.Graph, placeholders: list[fx.Node]) -> fx.Graph:
    """The traced graph with names of placeholders, origins and numbers as they were."""
    for node in graph.nodes:
        node.meta |= node.meta.pop("custom", {})
    for node, before in zip(graph.find_nodes(op="placeholder"), placeholders, strict=True):
        node.name = before.name
        node.meta = dict(before.meta)
    graph.eliminate_dead_code()
    return graph
