"""`cut`: the captured graph becomes pipeline stages."""

from __future__ import annotations

from dataclasses import dataclass

from ..capture.graph import Graph
from ..plan.program import Stages
from ..stages.cut import cut
from ..stages.group import Assignment


@dataclass(frozen=True)
class Cut:
    """Cut the graph into stages, each with a forward and a backward program of its own.

    before: %h = aten.relu(aten.linear(%x, %w0))    after: stage 0: linear, relu
            %y = aten.linear(%h, %w1)                      stage 1: linear            reads stage 0
            %loss = aten.mse_loss(%y, %target)             stage 2: mse_loss          reads stage 1
    """

    def __call__(self, graph: Graph, assignment: Assignment) -> Stages:
        return cut(graph, assignment)
