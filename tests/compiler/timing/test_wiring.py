"""Streams between wafers: what a long flight costs, and what it does not."""

from __future__ import annotations

from dataclasses import replace

import pytest
from helpers import plans
from weft.compiler.plan.check import whole
from weft.compiler.plan.check.violation import Subject
from weft.compiler.plan.document import PlanDocument
from weft.compiler.timing.layout import Layout
from weft.compiler.timing.pace import pace_of
from weft.compiler.timing.wiring import wire
from weft.sim.simulate import simulate

FORWARD, BACKWARD, UPDATE = STAGE = (100, 100, 100)
STAGES = 30


def on_two_wafers(before: int, latency_cycles: int, depth: int) -> PlanDocument:
    """A chain of equal stages, `before` of them on the first wafer; 1 GHz, 8 bytes a stream."""
    links = {"wafer_link.bytes_per_s": 1e12, "wafer_link.latency_s": latency_cycles * 1e-9}
    edges = plans.chain([STAGE] * STAGES, size=8, depth=depth).edges
    plan = plans.plan([STAGE] * STAGES, edges, plans.CONSTANTS | links)
    moved = (plans.moved(s, replace(s.region, wafer=int(s.index >= before))) for s in plan.stages)
    return replace(plan, stages=tuple(moved), wafers=2)


@pytest.mark.parametrize("before", [1, 15, 28])
@pytest.mark.parametrize("depth", [1, 40])
@pytest.mark.parametrize("latency", [0, 1_000, 20_000])
def test_there_and_back_must_fit_in_three_ticks(before: int, depth: int, latency: int) -> None:
    """The delay of a stage is two updates longer than that of the next one: so of a sample the way
    to the next wafer, its forward there, a backward there and the way back of the gradient fit in
    three ticks. FIFOs do not count: what is under way between wafers is not in one."""
    plan = on_two_wafers(before, latency, depth)
    pace = pace_of(Layout.of(plan))
    least, hops = (2 * latency + 2 * (FORWARD + BACKWARD)) / 3, 30
    assert max(sum(STAGE), least) <= pace.interval_cycles <= max(sum(STAGE), least + hops + UPDATE)
    report = simulate(plan, 300)
    assert report.steady
    assert report.initiation_interval_cycles == pytest.approx(pace.interval_cycles, rel=1e-3)
    totals = replace(
        plan.totals,
        initiation_interval_cycles=pace.interval_cycles,
        bound_by=str(pace.bound),
    )
    assert [*whole.initiation_interval(Subject(replace(plan, totals=totals), None, {}))] == []


def test_as_many_samples_are_under_way_as_the_link_sends_during_a_flight() -> None:
    """Streams of 8 and 16 bytes share the link there, 8 bytes a cycle: 3 cycles a sample; those of
    their gradients, 8 bytes each, 2."""
    constants = {"wafer_link.bytes_per_s": 8e9, "wafer_link.latency_s": 1e-6}
    edges = [plans.edge(-1, 0, 8), plans.edge(0, 1, 8, 8), plans.edge(0, 2, 16, 8)]
    edges.append(plans.edge(1, 2, 8, 8))
    plan = plans.plan([STAGE] * 3, edges, plans.CONSTANTS | constants)
    stages = (plans.moved(s, replace(s.region, wafer=int(s.index > 0))) for s in plan.stages)
    channels = wire(Layout.of(replace(plan, stages=tuple(stages), wafers=2))).channels
    depths = {(c.edge, c.phase): c.depth for c in channels}
    assert (depths[1, 0], depths[2, 0], depths[3, 0]) == (1 + 334, 2 + 334, 1)
    assert (depths[1, 1], depths[2, 1]) == (1 + 500, 2 + 500)
