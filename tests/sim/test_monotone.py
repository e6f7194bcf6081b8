"""A machine with less never gets faster."""

from __future__ import annotations

from helpers import plans
from helpers.random_plans import SPREAD, random_plan
from hypothesis import given, settings
from hypothesis import strategies as st
from weft.sim import simulate

QUICK = settings(max_examples=40, deadline=None, derandomize=True)
SAMPLES = 80


def at_least(slow, fast):
    for level in ("event", "analytic"):
        slower, faster = simulate(slow, SAMPLES, level), simulate(fast, SAMPLES, level)
        assert slower.cycles >= faster.cycles
    assert slower.initiation_interval_cycles >= faster.initiation_interval_cycles


@QUICK
@given(random_plan(), SPREAD, st.data())
def test_more_cycles_in_a_stage_are_never_faster(plan, more, data):
    index = data.draw(st.integers(0, len(plan.stages) - 1))
    now = plan.stages[index].cycles
    phases = (now.forward_cycles, now.backward_cycles, now.update_cycles)
    added = tuple(a + b for a, b in zip(phases, more, strict=True))
    at_least(plans.with_cycles(plan, index, added), plan)


@QUICK
@given(random_plan(), st.integers(1, 5))
def test_deeper_fifos_are_never_slower(plan, extra):
    at_least(plan, plans.with_depths(plan, extra))


@QUICK
@given(random_plan(max_bytes=40000))
def test_half_the_bandwidth_is_never_faster(plan):
    at_least(plans.with_constants(plan, noc__link_bytes_per_cycle=0.5), plan)
    at_least(plans.with_constants(plan, host__bytes_per_s=0.5), plan)
