"""What the host allows, against loops that count bytes and ticks by themselves."""

from __future__ import annotations

from dataclasses import replace

import pytest
from helpers.random_plans import random_plan
from hypothesis import given, settings
from hypothesis import strategies as st
from weft.compiler.plan.document import HOST, PlanDocument
from weft.compiler.timing.host import host_cycles, host_paces
from weft.compiler.timing.layout import Layout
from weft.compiler.timing.pace import pace_of
from weft.sim.simulate import simulate

QUICK = settings(max_examples=40, deadline=None, derandomize=True)


def off_wafer(plan: PlanDocument, size: int) -> PlanDocument:
    """Every stage with a delay of 4 or more saves `size` bytes with the host."""
    stages = (replace(s, off_wafer_bytes=size if s.delay >= 4 else 0) for s in plan.stages)
    return replace(plan, stages=tuple(stages))


def is_in_time(delay: int, interval: int, latency: float) -> bool:
    """Tick k of a stage is from k to k + 1 intervals. A sample of tick 0 leaves in tick 1 and must
    be asked for early enough to come in tick delay - 1: it is there by then."""
    left = 2 * interval
    at_the_host = left + latency
    asked = (delay - 1) * interval - latency
    return at_the_host <= asked


@QUICK
@given(random_plan(max_stages=6), st.integers(1, 10**6))
def test_an_interval_is_the_least_in_which_all_is_back_in_time(plan, size):
    plan = off_wafer(plan, size)
    layout = Layout.of(plan)
    paces = dict(host_paces(layout))
    latency = layout.constant("host.latency_s") * plan.clock_hz
    for stage in plan.stages:
        name = f"activations of {stage.id}, back in time"
        assert (name in paces) == (stage.delay >= 4)
        if name in paces:
            assert is_in_time(stage.delay, paces[name], latency)
            assert not is_in_time(stage.delay, paces[name] - 1, latency) or not paces[name]


@QUICK
@given(random_plan(max_stages=6), st.integers(1, 10**6))
def test_the_link_carries_inputs_and_fifos_in_every_interval(plan, size):
    plan = off_wafer(plan, size)
    layout = Layout.of(plan)
    arriving = sum(edge.forward_bytes for edge in plan.edges if edge.source == HOST)
    arriving += sum(stage.off_wafer_bytes for stage in plan.stages)
    per_cycle = layout.constant("host.bytes_per_s") / plan.clock_hz
    assert host_cycles(layout) * per_cycle >= arriving * (1 - 1e-9)
    interval = pace_of(layout).interval_cycles
    assert interval >= host_cycles(layout)
    if interval < float("inf"):
        report = simulate(plan, 60, "event")
        if report.steady and not report.deadlock:
            assert report.initiation_interval_cycles == pytest.approx(interval, rel=1e-3)


@QUICK
@given(random_plan(max_stages=4))
def test_without_fifos_there_the_host_sends_inputs_alone(plan):
    names = [name for name, _ in host_paces(Layout.of(plan))]
    assert names in ([], ["input bandwidth"])
