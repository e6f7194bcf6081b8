"""What a traced forward writes to in place, before the trace is made functional.

A write to a buffer is its next value. Others change a result that autograd has already noted, or
weights, and mean in eager torch what a functional graph cannot say.
"""

from __future__ import annotations

from collections.abc import Collection

from torch import fx
from torch.export import ExportedProgram
from torch.export.graph_signature import InputKind

from ....backend.errors import UnsupportedError
from ...plan.program_graph import packet_name
from ..fx_tools import writes_of
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
        for written in writes_of(node):
            root = written.root
            if root.name in names:
                raise _parameter_changed(node, names[root.name].removeprefix("model."))
            if root in needed and (written.is_detached or UNSEEN in node.meta):
                raise _changed_unseen(node)


def written(graph: fx.Graph) -> set[fx.Node]:
    """The values whose memory a graph writes to."""
    return {one.root for node in graph.nodes for one in writes_of(node)}


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
