"""Halves of a stream as values of their own, so that a pipeline hands on each by itself.

%whole = cat([%a, %b], 1)
%half = narrow(%whole, 1, 0, size of a)      ->      %half = %a
"""

from __future__ import annotations

import operator
from collections.abc import Iterator
from typing import NamedTuple, cast

from torch import fx

from ...plan.program_graph import packet_name

_ARGUMENTS = ("x", "dim", "start", "end", "step")


class Span(NamedTuple):
    """Consecutive elements along an axis."""

    axis: int
    start: int
    length: int


def join_halves(graph: fx.Graph) -> None:
    """Let who reads a span of a concatenation, or one that was taken before, read that part."""
    known: dict[tuple[fx.Node, Span], fx.Node] = {}
    for node in list(graph.nodes):
        taken = taken_from(node)
        if taken is None or graph.output_node() in node.users:
            continue
        whole, span = taken
        part = next((part for part, place in parts_of(whole) if place == span), None)
        part = part or known.setdefault(taken, node)
        if part is not node:
            node.replace_all_uses_with(part)
    graph.eliminate_dead_code()


def taken_from(node: fx.Node) -> tuple[fx.Node, Span] | None:
    """The value that a node takes a span of, and which; None of any other node."""
    name = packet_name(node)
    if node.target is operator.getitem:
        return _taken_from_split(node)
    named = {**dict(zip(_ARGUMENTS, node.args, strict=False)), **node.kwargs}
    if name not in ("aten.narrow", "aten.slice") or named.get("step", 1) != 1:
        return None
    whole, start = cast("fx.Node", named["x"]), cast("int", named.get("start") or 0)
    shape = whole.meta["val"].shape
    axis = cast("int", named.get("dim", 0)) % len(shape)
    length = node.meta["val"].shape[axis]
    return whole, Span(axis, start + shape[axis] if start < 0 else start, length)


def _taken_from_split(item: fx.Node) -> tuple[fx.Node, Span] | None:
    split, number = cast("tuple[fx.Node, int]", item.args)
    if packet_name(split) not in ("aten.split", "aten.split_with_sizes", "aten.chunk"):
        return None
    whole, values = cast("fx.Node", split.args[0]), split.meta["val"]
    axis = cast("int", (*split.args, 0)[2] if len(split.args) > 2 else split.kwargs.get("dim", 0))
    axis %= whole.meta["val"].ndim
    sizes = [value.shape[axis] for value in values]
    return whole, Span(axis, sum(sizes[:number]), sizes[number])


def parts_of(whole: fx.Node) -> Iterator[tuple[fx.Node, Span]]:
    """The parts of a concatenation, and where they lie in it; none of any other node."""
    if packet_name(whole) != "aten.cat":
        return
    parts = cast("list[fx.Node]", whole.args[0])
    axis = cast("int", whole.args[1] if len(whole.args) > 1 else whole.kwargs.get("dim", 0))
    axis, start = axis % whole.meta["val"].ndim, 0
    for part in parts:
        length = part.meta["val"].shape[axis]
        yield part, Span(axis, start, length)
        start += length
