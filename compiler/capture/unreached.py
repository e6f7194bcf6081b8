"""Parameters that no gradient of the loss comes back to: eager torch gives them none, not zero.

An optimizer leaves a parameter without a gradient alone; one with a gradient of zero it decays, and
moves by what it remembers. So these count as frozen.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import Tensor, fx
from torch.utils._pytree import tree_leaves

from ..plan.program_graph import packet_name
from .custom_backward.call import CustomCall
from .graph import Graph

_CUTS = frozenset(
    {
        "aten.detach",
        *(f"aten.{name}_like" for name in ("zeros", "ones", "full", "empty", "rand", "randn")),
        *(f"aten.new_{name}" for name in ("zeros", "ones", "full", "empty")),
    }
)
"""Operators whose result has no derivative."""


def unreached(graph: Graph) -> frozenset[str]:
    """Names of the parameters that are used, and that no gradient reaches."""
    reached = {graph.node(graph.loss)}
    for node in reversed(list(graph.module.graph.nodes)):
        if node in reached and _has_derivative(node):
            reached.update(_differentiated(node))
    used = [node for node in graph.module.graph.find_nodes(op="placeholder") if node.users]
    missed = [node.name for node in used if node not in reached]
    return frozenset(graph.parameters[name] for name in missed if name in graph.parameters)


def _has_derivative(node: fx.Node) -> bool:
    if node.op != "call_function" or packet_name(node) in _CUTS:
        return False
    return any(map(_is_continuous, tree_leaves(node.meta.get("val"))))


def _is_continuous(value: Any) -> bool:
    return isinstance(value, Tensor) and (value.is_floating_point() or value.is_complex())


def _differentiated(node: fx.Node) -> Iterator[fx.Node]:
    """The operands that a gradient may go back to: not what a call of Python finds by itself."""
    operands = node.all_input_nodes
    if isinstance(node.target, CustomCall):
        count = len(node.args) - len(node.target.foreign)
        operands = [value for value in node.args[:count] if isinstance(value, fx.Node)]
    yield from operands
