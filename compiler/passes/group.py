"""`group`: every operation of the captured graph gets a stage, at the finest granularity."""

from __future__ import annotations

from dataclasses import dataclass

from ..capture.graph import Graph
from ..stages.group import Assignment, assign


@dataclass(frozen=True)
class Group:
    """One stage for each layer with weights, each product of activations, each residual sum.

    before: %h = aten.relu(aten.linear(%x, %w0))    after: stage 0: a.0 (linear, relu)
            %y = aten.linear(%h, %w1)                      stage 1: a.1 (linear)
            %loss = aten.mse_loss(%y, %target)             stage 2: (mse_loss)
    """

    def __call__(self, graph: Graph) -> Assignment:
        return assign(graph)
