"""Clean-ups of a captured torch.fx graph, and what its operators write to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import fx
from torch._ops import OpOverload

from ..plan.program_graph import is_view, packet_name


def functional_overload(target: OpOverload) -> OpOverload | None:
    """The operator that returns what the in-place operator `target` writes, with the same
    arguments; None if torch has none."""
    name = target._schema.name.removeprefix("aten::")
    packet = getattr(torch.ops.aten, name.removesuffix("_"), None)
    if not name.endswith("_") or name.startswith("_") or packet is None:
        return None
    wanted = _arguments(target)
    overloads = (getattr(packet, name) for name in packet.overloads())
    return next((found for found in overloads if _arguments(found) == wanted), None)


def _arguments(target: OpOverload) -> list[tuple[str, str, bool]]:
    """Names and types: `pow_.Scalar` is `pow.Tensor_Scalar`, and not `pow.Scalar`."""
    listed = target._schema.arguments
    return [(one.name, str(one.type), one.kwarg_only) for one in listed]


def forget_strides(graph: fx.Graph) -> None:
    """Make views reshapes: across a stage boundary a value keeps its shape, not its strides. The
    bits of a value read as another type stay a view."""
    for node in graph.nodes:
        if node.target is torch.ops.aten.view.dtype:
            continue
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


def forget_sparse_gradients(graph: fx.Graph) -> None:
    """Embeddings have gradients of all rows, zero where none was read: a stage's are dense."""
    for node in graph.nodes:
        if packet_name(node) in ("aten.embedding", "aten.embedding_bag", "aten._embedding_bag"):
            names = [argument.name for argument in node.target._schema.arguments]  # type: ignore[union-attr]
            given = dict(zip(names, node.args, strict=False)) | node.kwargs
            if given.get("sparse"):
                position = names.index("sparse")
                if position < len(node.args):
                    node.update_arg(position, False)
                else:
                    node.update_kwarg("sparse", False)


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


def replace_mutations(graph: fx.Graph) -> None:
    """Make in-place operators on values of their own functional; later readers get the result.

    An operator that changes a view of another value stays: it has no kernel and is reported.
    """
    order = {node: position for position, node in enumerate(graph.nodes)}
    for node in list(graph.nodes):
        target = node.target
        found = functional_overload(target) if isinstance(target, OpOverload) else None
        if found is None or is_view(node.all_input_nodes[0]):
            continue
        changed, node.target = node.all_input_nodes[0], found
        for user in list(changed.users):
            if order[user] > order[node]:
                user.replace_input_with(changed, node)


@dataclass(frozen=True)
class Written:
    """Whose memory a node changes, and whether it reaches it through a detached tensor."""

    root: fx.Node
    is_detached: bool


def writes_of(node: fx.Node) -> Iterator[Written]:
    """The writes of one operator."""
    if not isinstance(node.target, OpOverload) or not node.target._schema.is_mutable:
        return
    for position, argument in enumerate(node.target._schema.arguments):
        if argument.alias_info is not None and argument.alias_info.is_write:
            given = node.args[position] if position < len(node.args) else None
            changed = node.kwargs.get(argument.name, given)
            for one in changed if isinstance(changed, list | tuple) else (changed,):
                if isinstance(one, fx.Node):
                    yield _followed(one)


def _followed(node: fx.Node) -> Written:
    """From a view or the result of a write back to the tensor whose memory it is."""
    is_detached = False
    while node.op == "call_function" and (source := _aliased(node)) is not None:
        is_detached |= packet_name(node) == "aten.detach"
        node = source
    return Written(node, is_detached)


def _aliased(node: fx.Node) -> fx.Node | None:
    """The operand that the node's result shares memory with, if any."""
    if not isinstance(node.target, OpOverload):
        return node.all_input_nodes[0] if node.all_input_nodes else None  # an item of a tuple
    schema = node.target._schema
    is_alias = any(result.alias_info is not None for result in schema.returns)
    if not is_alias and packet_name(node) not in _MAY_ALIAS:
        return None
    shared = [a for a in schema.arguments if a.alias_info is not None] or schema.arguments[:1]
    position = schema.arguments.index(shared[0])
    given = node.args[position] if position < len(node.args) else None
    operand = node.kwargs.get(shared[0].name, given)
    return operand if isinstance(operand, fx.Node) else None


_MAY_ALIAS = frozenset(
    f"aten.{name}" for name in ("reshape", "contiguous", "to", "flatten", "expand_as", "view_as")
)
"""Composite operators whose result may be (part of) their operand, though no schema says so."""
