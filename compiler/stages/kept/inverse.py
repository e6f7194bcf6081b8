"""What of a stage's forward can be computed from some of its values, forwards and backwards.

    y = x1 + f(x2),  z = cat(y, x2)        from z: y and x2 are parts of it, x1 = y - f(x2)

Steps backwards are: the target of a reversible layer's update, the parts of a concatenation, and a
whole of which all parts are known.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import fx

from ...capture.reversible.halves import Span, parts_of, taken_from

_ATEN = torch.ops.aten


@dataclass(frozen=True)
class InverseStep:
    """How a node's value follows from other nodes' values; forwards by the node's own call."""

    node: fx.Node
    reads: tuple[fx.Node, ...]
    call: tuple[Any, tuple[Any, ...]] | None = None

    def copied(self, graph: fx.Graph, copies: Mapping[fx.Node, fx.Node]) -> fx.Node:
        """The step as a node of another graph, in which `copies` are the nodes that it reads."""
        if self.call is None:
            return graph.node_copy(self.node, copies.__getitem__)
        target, args = self.call
        return graph.call_function(target, fx.map_arg(args, copies.__getitem__))  # type: ignore[arg-type]


InverseSteps = dict[fx.Node, InverseStep]
"""By node, in an order in which each comes after those it reads."""


def steps_from(
    graph: fx.Graph, given: Collection[fx.Node], sums: Collection[fx.Node]
) -> tuple[set[fx.Node], InverseSteps]:
    """All nodes of a forward whose values follow from those `given`, and how.

    `sums` are the updates of reversible layers: target + change.
    """
    known, steps = set(given), InverseSteps()
    calls = [node for node in graph.nodes if node.op == "call_function"]
    count = -1
    while count < len(known):
        count = len(known)
        for node in calls:
            if node not in known and known.issuperset(node.all_input_nodes):
                known.add(node)
                steps[node] = InverseStep(node, tuple(node.all_input_nodes))
        for node in reversed(calls):
            for step in _back_from(node, known, sums):
                if step.node not in known:
                    known.add(step.node)
                    steps[step.node] = step
        for whole in list(graph.nodes):
            if whole not in known and (step := _joined(whole, known)):
                known.add(whole)
                steps[whole] = step
    return known, steps


def needed(
    steps: InverseSteps, wanted: Iterable[fx.Node]
) -> tuple[list[InverseStep], set[fx.Node]]:
    """The steps that lead to `wanted`, in order, and all nodes that they begin with."""
    reads, taken = set(wanted), []
    for node in reversed(steps):
        if node in reads:
            taken.append(steps[node])
            reads.update(steps[node].reads)
    return taken[::-1], {node for node in reads if node not in steps}


def _back_from(
    node: fx.Node, known: Collection[fx.Node], sums: Collection[fx.Node]
) -> Iterator[InverseStep]:
    """What the operands of a known node are."""
    if node not in known:
        return
    if node in sums:
        target, change = cast("tuple[fx.Node, fx.Node]", node.args)
        if change in known:
            yield InverseStep(target, (node, change), (_ATEN.sub.Tensor, (node, change)))
    for part, span in parts_of(node):
        end = span.start + span.length
        yield InverseStep(part, (node,), (_ATEN.slice.Tensor, (node, span.axis, span.start, end)))


def _joined(whole: fx.Node, known: Collection[fx.Node]) -> InverseStep | None:
    """A value whose spans are known and leave nothing out."""
    spans: dict[Span, fx.Node] = {}
    for node in _spans_of(whole):
        taken = taken_from(node)
        if taken is not None and taken[0] is whole and node in known:
            spans.setdefault(taken[1], node)
    end, parts = 0, []
    for span in sorted(spans):
        if span.start == end and span.length:
            parts.append(spans[span])
            end += span.length
    axes = {span.axis for span in spans}
    if len(axes) != 1 or end != whole.meta["val"].shape[next(iter(axes))]:
        return None
    return InverseStep(whole, tuple(parts), (_ATEN.cat.default, (parts, next(iter(axes)))))


def _spans_of(whole: fx.Node) -> Iterator[fx.Node]:
    """What takes a span of a value, in one step or out of a split of it."""
    for user in whole.users:
        yield user
        yield from user.users
