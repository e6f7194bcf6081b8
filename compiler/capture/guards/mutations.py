"""What a traced forward writes to in place, before the trace is made functional.

A write to a buffer is its next value. Others change a result that autograd has already noted, or
weights, and mean in eager torch what a functional graph cannot say.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from torch import fx
from torch._ops import OpOverload
from torch.export import ExportedProgram
from torch.export.graph_signature import InputKind

from ....backend.errors import UnsupportedError
from ...plan.program_graph import packet_name
from ..origin import origin_of
from ..regions import UNSEEN


def check_mutations(exported: ExportedProgram, frozen: Collection[str]) -> None:
    """Raises UnsupportedError for a write to a parameter, and for one that autograd does not see
    to a tensor that needs a gradient: one computed from a parameter that is not `frozen`."""
    specs = exported.graph_signature.input_specs
    names = {s.arg.name: str(s.target) for s in specs if s.kind is InputKind.PARAMETER}
    trained = {name for name, target in names.items() if target not in frozen}
    needed = _needing_gradients(exported.graph, trained)
    for node in exported.graph.nodes:
        for written in _writes(node):
            root = written.root
            if root.name in names:
                raise _parameter_changed(node, names[root.name].removeprefix("model."))
            if root in needed and (written.is_detached or UNSEEN in node.meta):
                raise _changed_unseen(node)


def written(graph: fx.Graph) -> set[fx.Node]:
    """The values whose memory a graph writes to."""
    return {one.root for node in graph.nodes for one in _writes(node)}


@dataclass(frozen=True)
class _Written:
    """Whose memory a node changes, and whether it reaches it through a detached tensor."""

    root: fx.Node
    is_detached: bool


def _writes(node: fx.Node) -> Iterator[_Written]:
    if not isinstance(node.target, OpOverload) or not node.target._schema.is_mutable:
        return
    for position, argument in enumerate(node.target._schema.arguments):
        if argument.alias_info is not None and argument.alias_info.is_write:
            given = node.args[position] if position < len(node.args) else None
            changed = node.kwargs.get(argument.name, given)
            for one in changed if isinstance(changed, list | tuple) else (changed,):
                if isinstance(one, fx.Node):
                    yield _followed(one)


def _followed(node: fx.Node) -> _Written:
    """From a view or the result of a write back to the tensor whose memory it is."""
    is_detached = False
    while node.op == "call_function" and (source := _aliased(node)) is not None:
        is_detached |= packet_name(node) == "aten.detach"
        node = source
    return _Written(node, is_detached)


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


def _needing_gradients(graph: fx.Graph, trained: Collection[str]) -> set[fx.Node]:
    """The values that a gradient may come back to, as far as the operators say."""
    found: set[fx.Node] = set()
    for node in graph.nodes:
        if node.op == "placeholder":
            found |= {node} if node.name in trained else set()
        elif node.op == "call_function" and UNSEEN not in node.meta:
            is_cut = packet_name(node) == "aten.detach"
            if not is_cut and any(operand in found for operand in node.all_input_nodes):
                found.add(node)
    return found


def _parameter_changed(node: fx.Node, name: str) -> UnsupportedError:
    return UnsupportedError(
        f"{packet_name(node)} in {origin_of(node, strip='model')}",
        expected="parameters that only the optimizer changes",
        got=f"parameter {name} changed in forward; in eager torch it stays changed, in the plan"
        " it would not",
        change=f"compute with a new tensor, such as {name.rpartition('.')[2]}.clamp(...), use a"
        " parametrization, or change it between steps",
    )


def _changed_unseen(node: fx.Node) -> UnsupportedError:
    return UnsupportedError(
        f"{packet_name(node)} in {origin_of(node, strip='model')}",
        expected="changes in place that autograd sees",
        got="one of a tensor that needs a gradient, through detach(), .data or under no_grad():"
        " eager torch differentiates as if it had not happened, the plan would not",
        change="compute a new tensor: y = x + (f(x) - x).detach() has the value of f(x) and the"
        " gradient of x",
    )
