"""The steady pace of a plan: cycles between two samples, exact, and what sets them."""

from __future__ import annotations

from helpers import plans
from helpers.random_plans import random_plan
from hypothesis import given, settings
from hypothesis import strategies as st
from weft.compiler.plan.check import check
from weft.compiler.plan.document import PlanDocument
from weft.compiler.timing.layout import Layout
from weft.compiler.timing.pace import pace_of

QUICK = settings(max_examples=60, deadline=None, derandomize=True)


def hangs(plan: PlanDocument) -> bool:
    return any(found.rule == "cannot-hang" for found in check(plan))


@QUICK
@given(random_plan(), st.integers(0, 3), st.integers(0, 2))
def test_a_plan_hangs_if_and_only_if_the_compiler_says_so(plan, edge, less):
    """FIFOs less deep than their span may make a circle of waits."""
    edges = list(plan.edges)
    edge = min(edge, len(edges) - 1)
    shallow = max(1, edges[edge].depth - less)
    edges[edge] = plans.edge(edges[edge].source, edges[edge].sink, 8, 8, shallow)
    changed = plans.plan([tuple(vars(s.cycles).values()) for s in plan.stages], edges)
    assert hangs(changed) == pace_of(Layout.of(changed)).is_stuck
