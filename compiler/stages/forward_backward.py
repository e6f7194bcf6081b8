"""A stage's program: its joint graph, split where the tangents enter.

The joint graph is parted into what the forward computes and what the backward computes from the
saved values, which are those of the least bytes (kept/least_saved.py). A value that depends on the
parameters alone is never saved: the backward computes it from the weights it is given.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import fx

from ..capture.fx_tools import forget_strides, replace_mutations
from ..capture.graph import backward_state_positions
from ..plan.program import Origin
from ..plan.program_graph import ancestors, extract, packet_name, spec_of
from .functionalize import functionalized
from .joint import Specs, Subgraph, trace_joint
from .kept.least_saved import JointValues, least_saved

_ROW_MAJOR = {
    "aten.native_group_norm": 1,
    "aten.native_group_norm_backward": 2,
    "aten._linalg_det": 1,
    "aten._linalg_slogdet": 1,
    "aten._linalg_solve_ex": 1,
}
"""Operator -> how many of its first operands must be laid out in row-major order."""

_IDENTITIES = frozenset({"aten.alias", "aten.detach", "aten.clone", "aten.lift_fresh_copy"})


@dataclass(frozen=True)
class SplitParts:
    """Forward and backward graphs, the specs of what is saved between them, who needs gradients."""

    forward: fx.GraphModule
    backward: fx.GraphModule
    saved: Specs
    output_needs_grad: tuple[bool, ...]


def split_joint(subgraph: Subgraph) -> SplitParts:
    """Trace the joint graph of a stage and part it into forward and backward."""
    joint, needs_grad = trace_joint(subgraph)
    joint = functionalized(joint)
    return _Partition(joint, subgraph, needs_grad).parts()


class _Partition:
    """Parts a joint graph: ancestors of the forward results, and the rest."""

    def __init__(self, joint: fx.Graph, subgraph: Subgraph, needs_grad: tuple[bool, ...]) -> None:
        self.subgraph, self.needs_grad = subgraph, needs_grad
        replace_mutations(joint)
        _drop_identities(joint)
        _lay_row_major(joint)
        _release_backward_state(joint)
        self.nodes = list(joint.nodes)
        _pass_on_origins(self.nodes)
        self._name_placeholders()
        count = len(subgraph.outputs) + len(subgraph.forward_state)
        flat: list[fx.Node] = list(self.nodes[-1].args[0])  # type: ignore[arg-type]
        self.results, self.gradients = flat[:count], flat[count:]
        self.weights_only = self._weights_only()
        self.forward_nodes = ancestors(self.results)

    def _name_placeholders(self) -> None:
        placeholders = iter([node for node in self.nodes if node.op == "placeholder"])
        sub = self.subgraph

        def take(count: int) -> list[fx.Node]:
            return [next(placeholders) for _ in range(count)]

        self.parameters = take(len(sub.parameters))
        self.forward_state = take(len(sub.forward_state))
        self.backward_state = take(len(sub.backward_state))
        self.inputs = take(len(sub.inputs))
        arriving = take(sum(sub.output_is_read))
        flags = zip(self.needs_grad, sub.output_is_read, strict=True)
        needed = [needs for needs, is_read in flags if is_read]
        self.tangents = [node for node, needs in zip(arriving, needed, strict=True) if needs]

    def _weights_only(self) -> set[fx.Node]:
        """Nodes that depend on parameters and constants alone (parameters included)."""
        found = set(self.parameters)
        for node in self.nodes:
            if node.op == "call_function" and all(arg in found for arg in node.all_input_nodes):
                found.add(node)
        return found

    def _saved(self) -> list[fx.Node]:
        """What the backward is given of the forward."""
        late = [*self.backward_state, *self.tangents]
        wanted = [node for node in self.gradients if isinstance(node, fx.Node)]
        return least_saved(
            JointValues(self.nodes, self.forward_nodes, self.weights_only, late, wanted)
        )

    def parts(self) -> SplitParts:
        saved = self._saved()
        forward = extract(
            [*self.parameters, *self.forward_state, *self.inputs], [*self.results, *saved]
        )
        backward = extract(
            [*self.parameters, *self.backward_state, *saved, *self.tangents], self.gradients
        )
        specs = tuple(spec_of(node.meta["val"]) for node in saved)
        return SplitParts(forward, backward, specs, self.needs_grad)


def _drop_identities(graph: fx.Graph) -> None:
    """Remove what changes nothing in a functional graph: detach, alias, clone; then dead code."""
    for node in list(graph.nodes):
        if packet_name(node) in _IDENTITIES or _keeps_order(node):
            node.replace_all_uses_with(node.all_input_nodes[0])
    forget_strides(graph)
    graph.eliminate_dead_code()


def _lay_row_major(graph: fx.Graph) -> None:
    """Copies for the operators that torch does not run on permuted tensors, or does otherwise: of
    these it factorizes the matrix itself, where their backward takes it that it was row-major."""
    for node in list(graph.nodes):
        for operand in node.all_input_nodes[: _ROW_MAJOR.get(packet_name(node), 0)]:
            if not operand.meta["val"].is_contiguous():
                with graph.inserting_before(node):
                    copy = graph.call_function(torch.ops.aten.clone.default, (operand,))
                copy.kwargs = {"memory_format": torch.contiguous_format}
                copy.meta = {**operand.meta, "val": operand.meta["val"].contiguous()}
                node.replace_input_with(operand, copy)


def _keeps_order(node: fx.Node) -> bool:
    """Whether `as_strided` only gives dimensions of size one another stride."""
    if packet_name(node) not in ("aten.as_strided", "aten.as_strided_"):
        return False
    source, result = node.all_input_nodes[0].meta["val"], node.meta["val"]
    strides = zip(source.shape, source.stride(), node.args[2], strict=False)  # type: ignore[arg-type]
    return source.shape == result.shape and all(
        given == asked for size, given, asked in strides if size > 1
    )


def _release_backward_state(graph: fx.Graph) -> None:
    """The forward must not wait for u and v: put the stand-ins in their place."""
    for node in graph.nodes:
        for position, stand_in in backward_state_positions(node).items():
            node.update_arg(position, node.args[stand_in])


def _pass_on_origins(nodes: Sequence[fx.Node]) -> None:
    """Give each node its origin; a backward node has that of the forward node it differentiates."""
    by_sequence: dict[int, Origin] = {}
    for node in nodes:
        sequence = node.meta.get("sequence", -1)
        origin = node.meta.get("origin") or by_sequence.get(sequence)
        if origin is not None:
            node.meta["origin"] = origin
            by_sequence.setdefault(sequence, origin)
