"""Latency, fill, drain and length of a run as lower bounds from longest paths."""

from __future__ import annotations

from dataclasses import replace

import pytest
from helpers import plans
from helpers.random_plans import random_plan
from hypothesis import given, settings
from hypothesis import strategies as st
from weft.compiler.plan.check import check
from weft.compiler.plan.document import PlanDocument
from weft.compiler.timing.first_sample import latency_cycles
from weft.compiler.timing.layout import Layout
from weft.compiler.timing.pace import pace_of

QUICK = settings(max_examples=80, deadline=None, derandomize=True)


RULES = {"initiation-interval", "latency"}


SLOW_FLIGHT = plans.CONSTANTS | {"noc.hop_cycles": 30, "host.latency_s": 1e-6}
"""A sample flies for 300 cycles from stage to stage, as long as many stages work."""


def with_totals(plan: PlanDocument) -> PlanDocument:
    """The plan with the compiler's interval, bound and latency."""
    pace = pace_of(Layout.of(plan))
    found = replace(
        plan.totals,
        initiation_interval_cycles=pace.interval_cycles,
        bound_by=str(pace.bound),
        latency_cycles=latency_cycles(pace.graph),
        host_latency_cycles=pace.graph.wiring.host_latency_cycles,
    )
    return replace(plan, totals=found)


def broken(plan: PlanDocument) -> list[str]:
    return [str(found) for found in check(plan) if found.rule in RULES]


def far(plan: PlanDocument) -> PlanDocument:
    return plans.plan(
        [tuple(vars(s.cycles).values()) for s in plan.stages], plan.edges, SLOW_FLIGHT
    )


@QUICK
@given(random_plan(max_bytes=40000), st.booleans())
def test_the_checker_agrees(plan, is_far):
    assert broken(with_totals(far(plan) if is_far else plan)) == []


@QUICK
@given(random_plan(max_bytes=40000), st.sampled_from([0.97, 1.03]), st.booleans())
def test_another_pace_is_refused(plan, factor, is_far):
    plan = with_totals(far(plan) if is_far else plan)
    interval = plan.totals.initiation_interval_cycles * factor
    assert broken(replace(plan, totals=replace(plan.totals, initiation_interval_cycles=interval)))


@pytest.mark.parametrize(
    ("edges", "bound"),
    [
        ([plans.edge(0, 1, 40, 40)], "compute: layer1"),
        ([plans.edge(0, 1, 400_000, 40, depth=9)], "link: layer0 -> layer1 (activations)"),
        ([plans.edge(0, 1, 40, 400_000, depth=9)], "link: layer1 -> layer0 (gradients)"),
        ([plans.edge(-1, 0, 9999, depth=9), plans.edge(0, 1, 40, 40)], "host: input bandwidth"),
    ],
)
def test_every_bound_is_named(edges, bound):
    slow_host = plans.CONSTANTS | {"host.bytes_per_s": 1e9}
    plan = with_totals(plans.plan([(10, 20, 5), (30, 40, 10)], edges, slow_host))
    assert plan.totals.bound_by == bound
    assert broken(plan) == []
    other = replace(plan.totals, bound_by="compute: layer0")
    assert broken(replace(plan, totals=other))


def test_a_loop_through_fifos_is_named():
    """300 cycles of flight with room for one sample: no stage and no link is that slow."""
    plan = plans.plan([(10, 10, 10), (10, 10, 10)], [plans.edge(0, 1, 16, 16)], SLOW_FLIGHT)
    plan = with_totals(plan)
    assert plan.totals.bound_by.startswith("loop: FIFO layer")
    assert plan.totals.initiation_interval_cycles == 1 + 300 + 2 * 2
    assert broken(plan) == []
