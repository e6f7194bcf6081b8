"""Two streams over the same links."""

from __future__ import annotations

from dataclasses import replace

from helpers import plans


def crossing(cycles, size=3200, depth=4):
    """0 -> 2 and 1 -> 3 over the same links: 100 cycles of them for `size` bytes."""
    edges = [plans.edge(0, 2, size, 0, depth), plans.edge(1, 3, size, 0, depth)]
    plan = plans.plan([(forward, 1, 1) for forward in cycles], edges)
    return replace(plan, stages=tuple(replace(stage, delay=0) for stage in plan.stages))
