"""Parameters that no gradient of the loss comes back to: eager torch gives them none, not zero.

An optimizer leaves a parameter without a gradient alone; one with a gradient of zero it decays, and
moves by what it remembers. So these count as frozen.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, fx
from torch._ops import OpOverload
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
    reached, known = {graph.node(graph.loss)}, {}
    for node in reversed(list(graph.module.graph.nodes)):
        if node in reached and _has_derivative(node):
            reached.update(_differentiated(node, known))
    used = [node for node in graph.module.graph.find_nodes(op="placeholder") if node.users]
    missed = [node.name for node in used if node not in reached]
    return frozenset(graph.parameters[name] for name in missed if name in graph.parameters)


def _has_derivative(node: fx.Node) -> bool:
    if node.op != "call_function" or packet_name(node) in _CUTS:
        return False
    return any(map(_is_continuous, tree_leaves(node.meta.get("val"))))


def _is_continuous(value: Any) -> bool:
    return isinstance(value, Tensor) and (value.is_floating_point() or value.is_complex())


def _differentiated(node: fx.Node, known: dict[str, tuple[bool, ...]]) -> Iterator[fx.Node]:
    """The operands that a gradient goes back to: not what a call of Python finds by itself, nor
    what an operator reads for its shape, its sign or its truth alone. `known` are answers."""
    if isinstance(node.target, CustomCall):
        count = len(node.args) - len(node.target.foreign)
        yield from (value for value in node.args[:count] if isinstance(value, fx.Node))
        return
    operands = node.all_input_nodes
    key = _described(node)
    if key not in known:
        known[key] = _reaches(node, operands)
    yield from (operand for operand, is_met in zip(operands, known[key], strict=True) if is_met)


def _described(node: fx.Node) -> str:
    """The call with shapes and types for tensors."""
    numbers = {operand: number for number, operand in enumerate(node.all_input_nodes)}
    given = fx.map_arg((node.args, node.kwargs), lambda operand: (numbers[operand], _form(operand)))
    return f"{node.target} {given}"


def _form(operand: fx.Node) -> Any:
    leaves = [leaf for leaf in tree_leaves(operand.meta.get("val")) if isinstance(leaf, Tensor)]
    return [(tuple(leaf.shape), leaf.dtype) for leaf in leaves]


def _reaches(node: fx.Node, operands: Sequence[fx.Node]) -> tuple[bool, ...]:
    """For each operand, whether torch's own derivative of the call gives it a gradient; true of all
    where torch cannot tell without numbers."""
    empty = {operand: _empty(operand.meta.get("val")) for operand in operands}
    if not isinstance(node.target, OpOverload) or None in empty.values():
        return (True,) * len(operands)
    try:
        with torch.enable_grad():
            args, named = fx.map_arg((node.args, node.kwargs), empty.__getitem__)  # type: ignore
            made = [leaf for leaf in tree_leaves(node.target(*args, **named)) if _is_grown(leaf)]
            leaves = [value for value in empty.values() if value is not None and _is_grown(value)]
            tangents = [torch.empty_like(value) for value in made]
            found = torch.autograd.grad(made, leaves, tangents, allow_unused=True) if made else ()
    except Exception:  # torch has no such operator, or no derivative, without numbers
        return (True,) * len(operands)
    met = [leaf for leaf, gradient in zip(leaves, found, strict=False) if gradient is not None]
    return tuple(any(empty[operand] is leaf for leaf in met) for operand in operands)


def _empty(value: Any) -> Tensor | None:
    if not isinstance(value, Tensor):
        return None
    needs_grad = _is_continuous(value)
    return torch.empty(value.shape, dtype=value.dtype, device="meta", requires_grad=needs_grad)


def _is_grown(value: Any) -> bool:
    return isinstance(value, Tensor) and value.requires_grad
