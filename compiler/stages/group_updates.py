"""The finest cut of a network with reversible layers: each of their updates is one stage.

    y1 = x1 + f(x2)         stage 4: f, y1
    y2 = x2 + g(y1)         stage 5: g, y2

Only so can the backward of a stage rebuild its input from its output: what it subtracts is made of
what later stages give back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import fx

from ..capture.graph import Graph
from ..capture.reversible.halves import taken_from
from ..capture.reversible.updates import module_of
from .coarsen import merge_labels
from .group import Assignment, assign


@dataclass(frozen=True)
class GroupUpdates:
    """The finest cut, but for one stage per update of a reversible layer.

    before: %f = conv(relu(%x2)), %y1 = %x1 + %f    after: stage 4: blocks.0.f (conv, relu, add)
            %g = conv(relu(%y1)), %y2 = %x2 + %g           stage 5: blocks.0.g (conv, relu, add)
    """

    def __call__(self, graph: Graph) -> Assignment:
        return assign_updates(graph)


def assign_updates(graph: Graph) -> Assignment:
    """The finest cut, but for one stage per update; that itself without reversible layers."""
    if not graph.reversible:
        return assign(graph)
    apart = _updates(graph)
    finest = assign(graph, apart)
    labels = [""] * len(finest.modules)
    for node, stage in finest.stage_of.items():
        labels[stage] = apart.get(node, labels[stage])
    return merge_labels(finest, labels)


def _updates(graph: Graph) -> Mapping[fx.Node, str]:
    """The nodes of updates, each with the path of its update.

    A span of a stream that it takes belongs to who made the stream.
    """
    found: dict[fx.Node, str] = {}
    for node in graph.module.graph.nodes:
        span = taken_from(node)
        own = _update_of(module_of(node), graph.reversible)
        update = own if span is None else found.get(span[0])
        if update:
            found[node] = update
    return found


def _update_of(module: str, updates: frozenset[str]) -> str:
    parts = module.split(".")
    paths = (".".join(parts[:count]) for count in range(len(parts), 0, -1))
    return next((path for path in paths if path in updates), "")
