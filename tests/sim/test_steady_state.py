"""The two levels are independent computations of one machine: they have to agree."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from types import SimpleNamespace

import pytest
from helpers import plans
from helpers.random_plans import random_plan
from hypothesis import given, settings
from hypothesis import strategies as st
from weft.sim import simulate

QUICK = settings(max_examples=60, deadline=None, derandomize=True)


@QUICK
@given(random_plan())
def test_event_and_analytic_agree_in_steady_state(plan):
    event, analytic = simulate(plan, 400), simulate(plan, 400, "analytic")
    assert event.steady
    assert event.initiation_interval_cycles == pytest.approx(
        analytic.initiation_interval_cycles, rel=0.02
    )


@QUICK
@given(random_plan(max_bytes=40000), st.integers(1, 60))
def test_analytic_times_are_lower_bounds(plan, samples):
    event, analytic = simulate(plan, samples), simulate(plan, samples, "analytic")
    assert event.cycles >= analytic.cycles
    assert event.fill_cycles >= analytic.fill_cycles
    assert event.drain_cycles >= analytic.drain_cycles
    assert event.backward_latency_cycles >= analytic.backward_latency_cycles
    assert event.forward_latency_cycles == analytic.forward_latency_cycles


def test_slowest_stage_sets_the_interval_exactly():
    plan = plans.chain([(10, 20, 5), (30, 40, 10), (10, 10, 10)], size=400)
    for level in ("event", "analytic"):
        report = simulate(plan, 200, level)
        assert report.initiation_interval_cycles == 80
        assert report.throughput_samples_per_s == pytest.approx(1e9 / 80)
        assert report.bound_by == "compute: layer1"
        assert [row.bound_by for row in report.stages][1] == "compute"


@pytest.mark.parametrize(
    ("cycles", "interval"), [((30, 40, 10), 50), ((60, 20, 10), 60), ((300, 200, 99), 300)]
)
def test_a_stage_apart_is_as_slow_as_its_slower_region(cycles, interval):
    """The forward beside backward and update, in both levels; others take 35 and 30 cycles."""
    chain = plans.chain([(10, 20, 5), cycles, (10, 10, 10)], size=40)
    plan = plans.apart(plans.backward_first(chain), 1)
    for level in ("event", "analytic"):
        report = simulate(plan, 200, level)
        assert report.initiation_interval_cycles == interval
        assert report.bound_by == "compute: layer1"
    (row,) = (row for row in simulate(plan, 200).stages if row.id == "layer1")
    assert row.utilisation == pytest.approx(sum(cycles) / (2 * interval))


def test_one_stage_is_plain_sgd():
    """S = 1: forward, backward and update of one sample after the other, nothing else."""
    report = simulate(plans.chain([(10, 20, 5)]), 100)
    assert report.initiation_interval_cycles == 35
    assert report.cycles == 100 * 35


def test_one_sample_walks_through_all_stages_and_back():
    """No bytes, so streams cost nothing but a 1-byte gradient: 1 cycle, 10 hops, 2 ramps of 2."""
    report = simulate(plans.chain([(10, 20, 5), (30, 40, 10), (10, 10, 10)]), 1)
    gradient = 1 + 10 + 4
    assert report.forward_latency_cycles == 10 + 30 + 10
    assert report.backward_latency_cycles == 50 + 10 + gradient + 40 + gradient + 20 + 5
    assert report.cycles == report.backward_latency_cycles
    assert not report.steady


def test_link_bound():
    """4000 bytes over 8 links of 4 bytes per cycle: 125 cycles, more than any stage."""
    plan = plans.plan(
        [(10, 20, 5), (10, 20, 5)], [plans.edge(-1, 0), plans.edge(0, 1, 4000, 10, depth=9)]
    )
    for level in ("event", "analytic"):
        report = simulate(plan, 200, level)
        assert report.initiation_interval_cycles == 125
        assert report.bound_by == "link: layer0 -> layer1 (activations)"
        assert report.edges[1].forward_load == 1


def test_host_bound():
    """Two streams share 1 byte per cycle."""
    slow = plans.CONSTANTS | {"host.bytes_per_s": 1e9}
    edges = [plans.edge(-1, 0, 300), plans.edge(-1, 1, 100), plans.edge(0, 1, 16, 16)]
    plan = plans.plan([(10, 20, 5), (10, 20, 5)], edges, slow)
    for level in ("event", "analytic"):
        report = simulate(plan, 200, level)
        assert report.initiation_interval_cycles == 400
        assert report.bound_by == "host: input bandwidth"
        assert report.host_load == 1
    assert simulate(plan, 200).stages[0].idle_cycles["host"] > 0


def test_a_far_neighbour_is_a_loop_not_a_resource():
    """A flight of 1 + 10 x 100 + 4 cycles with `depth` samples under way; nobody is busy."""
    constants = plans.CONSTANTS | {"noc.hop_cycles": 100}
    for depth, interval in ((1, 1005), (2, 1005 / 2)):
        edges = [plans.edge(-1, 0), plans.edge(0, 1, 16, 0, depth)]
        plan = plans.plan([(10, 10, 10), (10, 10, 10)], edges, constants)
        event, analytic = simulate(plan, 400), simulate(plan, 400, "analytic")
        assert analytic.initiation_interval_cycles == interval
        assert event.initiation_interval_cycles == pytest.approx(interval, rel=0.01)
        assert f"layer0 -> layer1 (activations) of depth {depth}" in analytic.bound_by
        assert event.bound_by.startswith("loop: ")


def test_without_a_pipeline_one_sample_follows_the_other():
    """Delay 0 everywhere: a round trip of 50 forward, 70 backward, 5 update and four flights of
    400 B / (8 links x 4 B) = 13 cycles on the links, 10 hops and two ramps of 2."""
    plan = plans.chain([(10, 20, 5), (30, 40, 10), (10, 10, 10)], size=400)
    stages = tuple(replace(stage, delay=0, fifo_depth=1) for stage in plan.stages)
    for level in ("event", "analytic"):
        report = simulate(replace(plan, stages=stages), 100, level)
        assert report.initiation_interval_cycles == 50 + 70 + 5 + 4 * (13 + 10 + 4)
        assert report.bound_by.startswith("loop: ")


def test_a_whole_plan_is_simulated_by_its_document():
    document = plans.chain([(10, 20, 5)])
    assert simulate(SimpleNamespace(document=document), 10) == simulate(document, 10)


def test_simulating_needs_no_torch():
    """A process that only simulates never pays for importing torch."""
    modules = "weft.sim, weft.sim.page.page, weft.sim.page.trace"
    code = f"import sys, {modules}; print('torch' in sys.modules)"
    seen = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert seen.stdout == "False\n"
