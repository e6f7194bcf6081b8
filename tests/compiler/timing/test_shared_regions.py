"""Stages of one region take turns: never at once, in one order, and as fast as their sum allows."""

from __future__ import annotations

from itertools import pairwise

import pytest
from helpers import plans
from helpers.random_plans import sharing_plan
from hypothesis import given, settings
from weft.compiler.timing.layout import Layout
from weft.compiler.timing.pace import pace_of
from weft.compiler.timing.shared_regions import users
from weft.sim import simulate, timeline

QUICK = settings(max_examples=100, deadline=None, derandomize=True)


@QUICK
@given(sharing_plan())
def test_stages_of_a_region_never_work_at_once(plan):
    """A forward, or a backward with its update, has the region for itself."""
    samples = 4 * len(plan.stages)
    (stages,) = users(Layout.of(plan))
    names = {plan.stages[stage].id for stage in stages}
    slices = [s for s in timeline(plan, samples, 0, samples) if s.stage in names]
    ends = {(s.stage, s.sample): s.end for s in slices if s.phase == "update"}
    spans = [
        (s.begin, s.end if s.phase == "forward" else ends[s.stage, s.sample])
        for s in slices
        if s.phase != "update"
    ]
    spans.sort()
    assert len(spans) == 2 * samples * len(stages)
    assert all(end <= begin for (_, end), (begin, _) in pairwise(spans))


@QUICK
@given(sharing_plan())
def test_closed_form_and_event_level_agree(plan):
    """In the interval, which is no shorter than all stages of the region need."""
    (stages,) = users(Layout.of(plan))
    pace = pace_of(Layout.of(plan))
    assert pace.interval_cycles >= sum(plan.stages[s].cycles.total_cycles for s in stages)
    report = simulate(plan, 60 * len(plan.stages), "event")
    assert not report.deadlock
    assert report.steady
    assert report.initiation_interval_cycles == pytest.approx(pace.interval_cycles, rel=1e-3)


def test_a_region_sets_the_pace_by_the_sum_of_its_stages():
    chain = plans.chain([(10, 20, 5), (11, 21, 6), (12, 22, 7), (13, 23, 8)])
    alone, both = simulate(chain, 400), simulate(plans.sharing(chain, 0, 3), 400)
    assert alone.initiation_interval_cycles == 44
    assert both.initiation_interval_cycles == 35 + 44
    assert both.bound_by == "compute: layer0 + layer3"
    assert both.forward_latency_cycles == alone.forward_latency_cycles
    turns = [row.idle_cycles["turn"] for row in both.stages]
    assert turns[1] == turns[2] == 0 < min(turns[0], turns[3])


def test_nothing_crosses_a_link_inside_a_region():
    """A stream between stages of one region takes none, and none between wafers."""
    edges = [plans.edge(-1, 0, 8), plans.edge(0, 1, 8, 8), plans.edge(0, 2, 10**7, 10**7)]
    far = plans.plan([(10, 20, 5)] * 3, [*edges, plans.edge(1, 2, 8, 8)])
    assert simulate(far, 200).bound_by.startswith("link: ")
    near = simulate(plans.sharing(far, 0, 2), 200)
    assert near.initiation_interval_cycles == 70
    assert next(e for e in near.edges if e.forward_bytes == 10**7).forward_load == 0


@pytest.mark.parametrize("length", [3, 8, 20])
def test_the_pace_of_a_long_pipeline_is_that_of_the_region(length):
    """However long the way between the two is."""
    chain = plans.chain([(20, 40, 6), *[(11, 21, 8)] * (length - 2), (9, 20, 5)], size=64)
    for level in ("analytic", "event"):
        report = simulate(plans.sharing(chain, 0, length - 1), 40 * length, level)
        assert report.initiation_interval_cycles == 100
