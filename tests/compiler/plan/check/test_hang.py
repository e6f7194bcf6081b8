"""The proof that a plan cannot hang, and its numbers, against loops over routers."""

from __future__ import annotations

from collections import Counter

from helpers import plans
from helpers.random_plans import random_plan
from hypothesis import given, settings
from weft.compiler.plan.check import check, premises
from weft.compiler.plan.check.hang import colour_use, queue_use
from weft.compiler.plan.check.paces import timing_of
from weft.compiler.plan.document import PlanDocument
from weft.compiler.timing.layout import Layout
from weft.compiler.timing.wiring import wire

QUICK = settings(max_examples=60, deadline=None, derandomize=True)
STAGES = [(10, 10, 10)] * 4


def hangs(plan: PlanDocument) -> bool:
    return any(found.rule == "cannot-hang" for found in check(plan))


@QUICK
@given(random_plan(max_stages=7))
def test_streams_on_the_busiest_router_and_at_the_busiest_core(plan):
    """All streams run along row 2, 8 lanes wide: a count of columns, and of ends."""
    timed = timing_of(plan)
    assert timed is not None
    columns, ends = Counter[int](), Counter[tuple[str, int]]()
    for channel in wire(Layout.of(plan)).channels:
        (_, left), (_, right) = plan.edges[channel.edge].route
        columns.update(range(left, right + 1))
        ends[("in", channel.consumer)] += 1
        if channel.producer < len(plan.stages):
            ends[("out", channel.producer)] += 1
    assert colour_use(plan, timed.streams).streams == max(columns.values())
    assert queue_use(plan, timed.streams).streams == max(ends.values())


def skip(depth: int, **constants: float) -> PlanDocument:
    edges = [plans.edge(-1, 0, 8), *(plans.edge(i, i + 1, 8, 8) for i in range(3))]
    named = {name.replace("__", "."): value for name, value in constants.items()}
    return plans.plan(STAGES, [*edges, plans.edge(0, 3, 8, 8, depth)], plans.CONSTANTS | named)


def test_a_shallow_skip_hangs_with_and_without_colours_to_share():
    for colours in (7, 24):
        assert hangs(skip(1, noc__colours=colours))
        assert not hangs(skip(3, noc__colours=colours))


def test_the_premises_of_a_plan():
    found = {
        premise.about: premise.text for premise in premises(skip(3, noc__colours=24, noc__queues=8))
    }
    assert found["room"] == "FIFOs hold 1 to 3 samples"
    assert found["colours"] == (
        "at most 6 streams on a router and 7 of collectives, of 24; streams that meet share none"
    )
    assert found["queues"] == "at most 3 streams at a core, each way and 5 of collectives, of 8"
    few = {premise.about: premise.text for premise in premises(skip(3, noc__colours=8))}
    assert "of 8; turns in the order of ticks: " in few["colours"]
    assert few["queues"].endswith("of a number not known")
