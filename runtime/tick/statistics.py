"""Which of the values a forward saves are statistics: sums, and what a normalization tells."""

from __future__ import annotations

import operator
from typing import cast

from torch import fx

from ...compiler.plan.program import StageProgram
from ...compiler.plan.program_graph import packet_name

_REDUCTIONS = frozenset(
    {"aten.sum", "aten.mean", "aten.var", "aten.var_mean", "aten.amax", "aten.amin"}
)


def statistics(program: StageProgram) -> list[bool]:
    """For each saved value, whether it is computed from sums and normalization state alone."""
    placeholders = program.forward.graph.find_nodes(op="placeholder")
    parameters, state = len(program.parameters), len(program.forward_state)
    neutral = set(placeholders[:parameters])
    found = set(placeholders[parameters : parameters + state])
    for node in program.forward.graph.nodes:
        if node.op == "call_function" and _is_statistic(node, found, neutral):
            found.add(node)
    results = cast("tuple[fx.Node, ...]", program.forward.graph.output_node().args[0])
    return [result in found for result in results[len(results) - len(program.saved) :]]


def _is_statistic(node: fx.Node, found: set[fx.Node], neutral: set[fx.Node]) -> bool:
    if packet_name(node) in _REDUCTIONS or _is_told_by_norm(node):
        return True
    operands = [operand for operand in node.all_input_nodes if operand not in neutral]
    return bool(operands) and all(operand in found for operand in operands)


def _is_told_by_norm(node: fx.Node) -> bool:
    """Whether a node is a result of a normalization beside the normalized values, its first."""
    if node.target is not operator.getitem:
        return False
    return "norm" in packet_name(node.all_input_nodes[0]) and bool(node.args[1])
