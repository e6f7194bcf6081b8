"""Memory over time: within capacity, as much as the plan says when full, and nothing is lost."""

from __future__ import annotations

from dataclasses import replace

import pytest
from helpers import plans
from helpers.networks import network
from helpers.random_plans import random_plan
from hypothesis import given, settings
from hypothesis import strategies as st
from weft.sim import timeline
from weft.sim.page.memory import memory_over_time

QUICK = settings(max_examples=40, deadline=None, derandomize=True)


def fifo(plan, sample_bytes=12):
    """Every stage has a place for each sample that can be under way there."""
    stages = tuple(
        replace(
            stage,
            memory_per_pe=replace(
                stage.memory_per_pe, activation_fifo_bytes=sample_bytes * stage.fifo_depth
            ),
        )
        for stage in plan.stages
    )
    return replace(plan, stages=stages)


@QUICK
@given(random_plan(max_stages=5))
def test_the_peak_is_the_plans_figure(plan):
    """A stage is as full as it gets once `delay` samples are under way and another one begins."""
    plan = fifo(plan)
    for stage, held in zip(plan.stages, memory_over_time(plan, 40, 0, 40), strict=True):
        assert max(entry.total_bytes for entry in held) == stage.memory_per_pe.total_bytes


@QUICK
@given(random_plan(max_stages=5), st.integers(1, 12), st.integers(0, 11))
def test_activations_are_those_of_the_samples_under_way(plan, count, first):
    """Counted from the timeline: forward begun, backward not yet ended."""
    plan = fifo(plan)
    samples = first + count
    slices = timeline(plan, samples, 0, samples)
    for stage, held in zip(plan.stages, memory_over_time(plan, samples, first, count), strict=True):
        own = {(s.phase, s.sample): s for s in slices if s.stage == stage.id}
        assert held[0].cycle == own["forward", first].begin
        assert held[-1].cycle == own["forward", samples - 1].begin
        for entry in held:
            begun = sum(own["forward", i].begin <= entry.cycle for i in range(samples))
            ended = sum(own["backward", i].end <= entry.cycle for i in range(samples))
            assert entry.activation_bytes == 12 * (begun - ended)
            assert entry.total_bytes <= stage.memory_per_pe.total_bytes


def test_a_window_is_the_same_run():
    plan = fifo(plans.chain([(10, 20, 5), (30, 40, 10), (10, 10, 10)], size=400))
    whole, window = (tuple(memory_over_time(plan, 50, *w)) for w in ((0, 50), (20, 7)))
    for ours, theirs in zip(window, whole, strict=True):
        assert ours == tuple(e for e in theirs if ours[0].cycle <= e.cycle <= ours[-1].cycle)


@pytest.mark.parametrize("name", ["perceptron", "skips", "residual"])
def test_no_pe_of_a_compiled_network_is_ever_over_capacity(name):
    document = network(name).document
    for stage, held in zip(document.stages, memory_over_time(document, 60, 0, 60), strict=True):
        most = max(entry.total_bytes for entry in held)
        assert most == stage.memory_per_pe.total_bytes
        assert most <= document.totals.memory_capacity_per_pe_bytes
