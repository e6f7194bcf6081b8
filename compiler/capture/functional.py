"""A traced training graph made functional in place, without tracing it a second time.

    %a = conv2d(%x, %w)                          %a = conv2d(%x, %w)
    %b = relu_(%a)                        ->     %b = relu(%a)
    %c = copy_(%buffer, %mean)                   (the next value of 'buffer' is %mean)

Only what is plain is rewritten: operators on values that nothing else can be a view of. For the
rest the answer is None, and the caller lets torch functionalize by tracing once more, which takes
about twice the time of the first trace.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, fx
from torch._ops import OpOverload

from ..plan.program_graph import packet_name
from .fx_tools import functional_overload

_OWN_RESULT = frozenset(
    f"aten.{name}"
    for name in (
        "conv1d",
        "conv2d",
        "conv3d",
        "conv_transpose2d",
        "cross_entropy_loss",
        "group_norm",
        "layer_norm",
        "linear",
        "matmul",
        "rms_norm",
    )
)
"""Composite operators whose result is never (part of) an operand."""

_IDENTITIES = frozenset({"aten.contiguous", "aten.alias", "aten.lift_fresh_copy"})


def functional_updates(graph: fx.Graph, buffers: frozenset[str]) -> dict[str, fx.Node] | None:
    """Make `graph` functional; placeholder name of each updated buffer -> its next value.

    `buffers` are the names of the placeholders that may be updated. None, and the graph
    unchanged, if something in it is not plain.
    """
    calls = [node for node in graph.nodes if node.op == "call_function"]
    if not all(_is_operator(node) for node in calls) or _has_modules(graph):
        return None
    mutations = [node for node in calls if _is_mutation(node)]
    if not _Memory(graph, buffers).all_plain(mutations):
        return None
    order = {node: position for position, node in enumerate(graph.nodes)}
    updates: dict[str, fx.Node] = {}
    for node in mutations:
        _rewrite(node, order, updates)
    _drop_identities(graph, updates)
    return updates


def _is_operator(node: fx.Node) -> bool:
    return isinstance(node.target, OpOverload) or node.target is operator.getitem


def _has_modules(graph: fx.Graph) -> bool:
    return any(node.op in ("get_attr", "call_module") for node in graph.nodes)


def _is_mutation(node: fx.Node) -> bool:
    return isinstance(node.target, OpOverload) and node.target._schema.is_mutable


class _Memory:
    """Which values share memory: a mutation's result is its operand, a view's may be."""

    def __init__(self, graph: fx.Graph, buffers: frozenset[str]) -> None:
        self.buffers = buffers
        self.order = {node: position for position, node in enumerate(graph.nodes)}
        self.same: dict[fx.Node, list[fx.Node]] = {}

    def all_plain(self, mutations: Sequence[fx.Node]) -> bool:
        return all(self._is_plain(node) for node in mutations)

    def _is_plain(self, node: fx.Node) -> bool:
        """Whether the node changes its first argument only, and nothing else shares its memory."""
        changed = node.args[0] if node.args else None
        if not isinstance(changed, fx.Node) or _written(node) != 1 or not _keeps_dtype(node):
            return False
        names = self.same.setdefault(changed, [changed])
        names.append(node)
        self.same[node] = names
        users = [user for name in names for user in name.users]
        earlier = [user for user in users if self.order[user] < self.order[node]]
        if any(_may_alias(user) for user in earlier):
            return False
        if names[0].op == "placeholder":
            is_buffer = names[0].name in self.buffers
            return is_buffer and packet_name(node) == "aten.copy_" and len(names) == 2
        return not _may_alias(names[0]) and _functional(node) is not None


def _written(node: fx.Node) -> int:
    arguments = node.target._schema.arguments  # type: ignore[union-attr]
    return sum(bool(a.alias_info and a.alias_info.is_write) for a in arguments)


def _keeps_dtype(node: fx.Node) -> bool:
    """Whether all operands have one dtype, and what is copied the shape of what it replaces."""
    values = [operand.meta.get("val") for operand in node.all_input_nodes]
    tensors = [value for value in values if isinstance(value, Tensor)]
    if len(tensors) < len(values) or len({value.dtype for value in tensors}) > 1:
        return False
    return packet_name(node) != "aten.copy_" or tensors[0].shape == tensors[-1].shape


def _may_alias(node: fx.Node) -> bool:
    """Whether a result of the node may be (part of) an operand; a mutation's is accounted for."""
    if _is_mutation(node):
        return False
    if not isinstance(node.target, OpOverload):
        return node.op != "output"
    if any(result.alias_info for result in node.target._schema.returns):
        return True
    key = torch.DispatchKey.CompositeImplicitAutograd
    return node.target.has_kernel_for_dispatch_key(key) and packet_name(node) not in _OWN_RESULT


def _functional(node: fx.Node) -> OpOverload | None:
    """The operator that returns what `node` writes and takes the same arguments."""
    target = node.target
    if not isinstance(target, OpOverload) or packet_name(node) == "aten.copy_":
        return None
    return functional_overload(target)


def _rewrite(node: fx.Node, order: dict[fx.Node, int], updates: dict[str, fx.Node]) -> None:
    """Later readers of what `node` changed get its result, or what it copied."""
    changed = node.all_input_nodes[0]
    value = node
    if packet_name(node) == "aten.copy_":
        value = node.all_input_nodes[-1]
        updates[changed.name] = value
        node.replace_all_uses_with(value)
    else:
        functional = _functional(node)
        assert functional is not None, node  # all_plain has seen to it
        node.kwargs = {**_left_out(node, functional), **node.kwargs}
        node.target = functional
    for user in list(changed.users):
        if order[user] > order[node]:
            user.replace_input_with(changed, value)
    if value is not node:
        node.graph.erase_node(node)


def _left_out(node: fx.Node, functional: OpOverload) -> dict[str, Any]:
    """Arguments with a default that the functional operator has not: `bernoulli_()` is 0.5."""
    known = node.target._schema.arguments  # type: ignore[union-attr]
    given = {argument.name for argument in known[: len(node.args)]} | set(node.kwargs)
    defaults = {a.name: a.default_value for a in functional._schema.arguments}
    return {
        argument.name: argument.default_value
        for argument in known
        if argument.name not in given
        and argument.has_default_value()
        and argument.default_value != defaults.get(argument.name)
    }


def _drop_identities(graph: fx.Graph, updates: dict[str, fx.Node]) -> None:
    """Conversions become copies of another dtype, or nothing: devices do not matter."""
    for node in list(graph.nodes):
        if packet_name(node) == "aten.to":
            node.target = torch.ops.aten._to_copy.default
            node.args, node.kwargs = node.args[:1], {"dtype": node.meta["val"].dtype}
        if packet_name(node) in _IDENTITIES or _is_same_dtype(node):
            source = node.all_input_nodes[0]
            node.replace_all_uses_with(source)
            graph.erase_node(node)
            for name in [name for name, value in updates.items() if value is node]:
                updates[name] = source


def _is_same_dtype(node: fx.Node) -> bool:
    if packet_name(node) != "aten._to_copy":
        return False
    return node.meta["val"].dtype is node.all_input_nodes[0].meta["val"].dtype
