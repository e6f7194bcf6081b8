"""Nothing is lost: every cycle has a reason, every sample its work, in order, without overlap."""

from __future__ import annotations

from itertools import pairwise

from helpers import plans
from helpers.random_plans import random_plan
from hypothesis import given, settings
from hypothesis import strategies as st
from weft.sim import simulate, timeline

QUICK = settings(max_examples=40, deadline=None, derandomize=True)


@QUICK
@given(random_plan(), st.integers(1, 60), st.sampled_from(["event", "analytic"]))
def test_busy_and_idle_cycles_add_up_to_the_run(plan, samples, level):
    report = simulate(plan, samples, level)
    for row in report.stages:
        assert row.busy_cycles == samples * row.cycles_per_sample
        assert all(cycles >= 0 for cycles in row.idle_cycles.values())
        assert row.busy_cycles + sum(row.idle_cycles.values()) == report.cycles


@settings(QUICK, max_examples=200)
@given(random_plan(max_bytes=40000), st.integers(1, 60), st.sampled_from(["event", "analytic"]))
def test_what_happens_in_a_run_happens_before_its_end(plan, samples, level):
    report = simulate(plan, samples, level)
    assert 0 < report.forward_latency_cycles <= report.backward_latency_cycles <= report.cycles
    assert 0 < report.fill_cycles <= report.cycles
    assert 0 < report.drain_cycles <= report.cycles


@QUICK
@given(random_plan(max_stages=5), st.integers(1, 20))
def test_the_timeline_obeys_the_tick(plan, samples):
    """Every phase of every sample once, one at a time per stage, in the order F(i), B(i - D), U."""
    slices = timeline(plan, samples, 0, samples)
    assert len(slices) == 3 * samples * len(plan.stages)
    for stage in plan.stages:
        own = sorted((s for s in slices if s.stage == stage.id), key=lambda s: (s.begin, s.end))
        assert all(a.end <= b.begin for a, b in pairwise(own))
        assert [(s.phase, s.sample) for s in own] == list(local_order(stage.delay, samples))


@QUICK
@given(random_plan(max_stages=5), st.integers(1, 20))
def test_nothing_starts_before_what_it_needs(plan, samples):
    """A phase begins when the first window of every input may be there, and is not done before the
    last part of it, which leaves when its producer is done, has been worked on."""
    at = {(s.stage, s.phase, s.sample): s for s in timeline(plan, samples, 0, samples)}
    ids = [stage.id for stage in plan.stages]
    for edge in plan.edges:
        flows = [("forward", edge.source, edge.sink, edge.forward_bytes, edge.window)]
        if edge.gradient_bytes:
            back = edge.sink, edge.source, edge.gradient_bytes, edge.gradient_window
            flows.append(("backward", *back))
        for phase, source, sink, size, window in flows:
            for i in range(samples if edge.source >= 0 else 0):
                giver, taker = at[ids[source], phase, i], at[ids[sink], phase, i]
                flight = edge.hops if size else 0
                first = work(plan, source, phase) * window / edge.parts
                assert taker.begin >= giver.begin + first + flight
                assert taker.end >= giver.end + flight + work(plan, sink, phase) / edge.parts
                if window == edge.parts:
                    assert taker.begin >= giver.end + flight


def work(plan, stage, phase):
    cycles = plan.stages[stage].cycles
    return cycles.forward_cycles if phase == "forward" else cycles.backward_cycles


def test_an_edge_never_holds_more_than_its_depth():
    """With a slow sink, sample i leaves the source only when the sink has taken i - depth."""
    for depth in (1, 2, 5):
        plan = plans.chain([(10, 1, 1), (300, 1, 1)], depth=depth)
        at = {(s.stage, s.phase, s.sample): s for s in timeline(plan, 40, 0, 40)}
        for i in range(depth + 3, 40):
            ahead = at["layer0", "forward", i].begin
            assert ahead >= at["layer1", "forward", i - depth - 1].begin


def test_a_window_is_the_same_run():
    plan = plans.chain([(10, 20, 5), (30, 40, 10), (10, 10, 10)], size=400)
    whole = timeline(plan, 50, 0, 50)
    window = timeline(plan, 50, 20, 7)
    assert window == tuple(s for s in whole if 20 <= s.sample < 27)


def test_same_input_same_output():
    plan = plans.chain([(10, 20, 5), (30, 40, 10), (10, 10, 10)], size=4000)
    assert simulate(plan, 300) == simulate(plan, 300)


def local_order(delay, samples):
    for tick in range(samples + delay):
        if tick < samples:
            yield "forward", tick
        if tick >= delay:
            yield "backward", tick - delay
            yield "update", tick - delay
