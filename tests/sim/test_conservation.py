"""Nothing is lost: every cycle has a reason, every sample its work, in order, without overlap."""

from __future__ import annotations

from helpers import plans
from helpers.random_plans import random_plan
from hypothesis import given, settings
from hypothesis import strategies as st
from weft.sim import simulate

QUICK = settings(max_examples=40, deadline=None, derandomize=True)


@QUICK
@given(random_plan(), st.integers(1, 60), st.sampled_from(["event", "analytic"]))
def test_busy_and_idle_cycles_add_up_to_the_run(plan, samples, level):
    report = simulate(plan, samples, level)
    for row in report.stages:
        assert row.busy_cycles == int(samples * row.cycles_per_sample)
        assert all(cycles >= 0 for cycles in row.idle_cycles.values())
        assert row.busy_cycles + sum(row.idle_cycles.values()) == report.cycles


@settings(QUICK, max_examples=200)
@given(random_plan(max_bytes=40000), st.integers(1, 60), st.sampled_from(["event", "analytic"]))
def test_what_happens_in_a_run_happens_before_its_end(plan, samples, level):
    report = simulate(plan, samples, level)
    assert 0 < report.forward_latency_cycles <= report.backward_latency_cycles <= report.cycles
    assert 0 < report.fill_cycles <= report.cycles
    assert 0 < report.drain_cycles <= report.cycles


def test_same_input_same_output():
    plan = plans.chain([(10, 20, 5), (30, 40, 10), (10, 10, 10)], size=4000)
    assert simulate(plan, 300) == simulate(plan, 300)
