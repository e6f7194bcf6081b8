"""Regions without gradient, and regions without autocast, become part of the graph around them.

%r = wrap_with_set_grad_enabled(False, %submodule, %x)        %y = mul(%x, 2)
%a = getitem(%r, 0)                                     ->    %a = detach(%y)

What a checkpoint holds is traced as a plain call.
"""

from __future__ import annotations

import operator
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
import torch.utils.checkpoint as checkpoints
from torch import fx
from torch._higher_order_ops.wrap import wrap_with_autocast, wrap_with_set_grad_enabled

UNSEEN = "without_gradient"
"""Key of `meta` of the nodes that run where gradients are switched off."""

_DETACH = torch.ops.aten.detach.default


_AROUND = "_checkpoint_without_reentrant_generator"
"""What torch does before and after the function of a checkpoint that is not re-entrant."""


@contextmanager
def plain_checkpoints() -> Iterator[None]:
    """Checkpoints that are not re-entrant call their function and save nothing: the numbers are the
    same, and torch.export takes what one inside another saves for regions without gradient."""
    before = getattr(checkpoints, _AROUND)
    setattr(checkpoints, _AROUND, lambda *args, **named: iter((None,)))
    try:
        yield
    finally:
        setattr(checkpoints, _AROUND, before)


def inline_regions(module: fx.GraphModule) -> None:
    """Inline every region that switches gradients or autocast off, those inside it too."""
    _complete_users(module.graph)
    while any(_inline(module, node) for node in list(module.graph.nodes)):
        pass


def _complete_users(graph: fx.Graph) -> None:
    """Put each node among the users of its operands.

    torch.export forgets who reads the one result of a part between two regions (torch 2.9,
    `node_inline_` of torch/_export/utils.py).
    """
    for node in graph.nodes:
        for operand in node.all_input_nodes:
            operand.users.setdefault(node)


def _inline(module: fx.GraphModule, node: fx.Node) -> bool:
    body, operands, without_gradient = _region(node)
    if body is None:
        return False
    inner = module.get_submodule(str(body.target))
    if not isinstance(inner, fx.GraphModule):
        return False
    with module.graph.inserting_before(node):
        results = _copy(module, inner, operands, {UNSEEN: True} if without_gradient else {})
        if without_gradient:
            results = [_detached(module.graph, result) for result in results]
    for user in list(node.users):
        user.replace_all_uses_with(results[user.args[1]])  # type: ignore[index]
        module.graph.erase_node(user)
    module.graph.erase_node(node)
    if not body.users:
        module.graph.erase_node(body)
    return True


def _region(node: fx.Node) -> tuple[fx.Node | None, Sequence[Any], bool]:
    """The node of the region's module, its operands, and whether gradients stop at its results."""
    is_plain = all(user.target is operator.getitem for user in node.users)
    if is_plain and node.target is wrap_with_set_grad_enabled and node.args[0] is False:
        return node.args[1], node.args[2:], True  # type: ignore[return-value]
    if is_plain and node.target is wrap_with_autocast and node.args[2] is False:
        return node.args[4], node.args[5:], False  # type: ignore[return-value]
    return None, (), False


def _copy(
    module: fx.GraphModule, inner: fx.GraphModule, operands: Sequence[Any], meta: Mapping[str, Any]
) -> list[Any]:
    """The nodes of `inner` at the insertion point, with `meta` beside theirs; its results."""
    placeholders = inner.graph.find_nodes(op="placeholder")
    copies: dict[fx.Node, Any] = dict(zip(placeholders, operands, strict=True))
    for node in inner.graph.nodes:
        if node.op == "get_attr":
            name = f"{node.target}_of_region_{len(list(module.children()))}"
            module.add_submodule(name, inner.get_submodule(str(node.target)))
            copies[node] = module.graph.get_attr(name)
        elif node.op == "call_function":
            copies[node] = module.graph.node_copy(node, copies.__getitem__)
            copies[node].meta |= meta
    (results,) = inner.graph.output_node().args
    return list(fx.map_arg(results, copies.__getitem__))  # type: ignore[arg-type]


def _detached(graph: fx.Graph, value: Any) -> Any:
    if not isinstance(value, fx.Node) or not value.meta["val"].is_floating_point():
        return value
    detached = graph.call_function(_DETACH, (value,))
    detached.meta = dict(value.meta)
    return detached
