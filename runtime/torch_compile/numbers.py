"""Numbers that dynamo hands over as tensors of shape (), as it does under `dynamic=True`."""

from __future__ import annotations

import operator
from collections.abc import Iterator

import torch
from torch import fx

_ARITHMETIC = frozenset(
    {
        *(operator.add, operator.sub, operator.mul, operator.truediv, operator.neg, operator.pow),
        *(torch.add, torch.sub, torch.mul, torch.div),
    }
)


def read_as_numbers(graph: fx.GraphModule) -> frozenset[int]:
    """Which inputs are only read by `item()`, for more than arithmetic.

    An operator takes its options (an eps, a slope) as numbers: these are fixed, and another value
    is another graph. What is only added or multiplied stays a tensor, which may change freely.
    """
    placeholders = graph.graph.find_nodes(op="placeholder")
    return frozenset(n for n, node in enumerate(placeholders) if _is_number(node))


def _is_number(node: fx.Node) -> bool:
    reads = list(node.users)
    is_read = bool(reads) and all(u.op == "call_method" and u.target == "item" for u in reads)
    return is_read and not all(_is_arithmetic(user) for read in reads for user in _uses(read))


def _uses(number: fx.Node) -> Iterator[tuple[fx.Node, fx.Node]]:
    """Each use of the number, and of numbers computed from it: what is used, and by what."""
    for user in number.users:
        yield number, user
        if _is_arithmetic((number, user)) and not _is_tensor(user):
            yield from _uses(user)


def _is_arithmetic(use: tuple[fx.Node, fx.Node]) -> bool:
    number, user = use
    named = number in user.kwargs.values()
    return user.op == "call_function" and user.target in _ARITHMETIC and not named


def _is_tensor(node: fx.Node) -> bool:
    return isinstance(node.meta.get("example_value"), torch.Tensor)
