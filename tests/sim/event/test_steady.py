"""A run that leaps over what repeats itself ends as the full run does, to the bit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from helpers import plans
from helpers.random_plans import ALIKE, SPREAD, random_plan, sharing_plan
from hypothesis import given, settings
from hypothesis import strategies as st
from weft.compiler.timing.layout import Layout
from weft.compiler.timing.wiring import wire
from weft.sim import simulate
from weft.sim.event import engine, steady
from weft.sim.model.state import start, tables

QUICK = settings(max_examples=150, deadline=None, derandomize=True)
ANY = st.one_of(
    random_plan(cycles=SPREAD),
    random_plan(cycles=ALIKE, extra_depth=8),
    sharing_plan(cycles=SPREAD),
    sharing_plan(cycles=ALIKE, extra_depth=8),
)


@QUICK
@given(ANY, st.lists(st.integers(1, 3000), min_size=1, max_size=3))
def test_a_leaping_run_is_the_full_run(plan, counts):
    for samples in counts:
        assert_same(plan, samples, (0, 0))


@QUICK
@given(ANY, st.integers(1, 2000), st.integers(0, 2200), st.integers(1, 40))
def test_a_recorded_window_is_that_of_the_full_run(plan, samples, first, count):
    assert_same(plan, samples, (first, count))


@QUICK
@given(ANY, st.integers(1, 2000), st.floats(0, 1))
def test_without_a_pipeline_too(plan, samples, share):
    """Delay 0: one sample after the other. Delays cut short: anything between, deadlocks too."""
    stages = tuple(replace(stage, delay=int(share * stage.delay)) for stage in plan.stages)
    assert_same(replace(plan, stages=stages), samples, (0, 0))


@QUICK
@given(ANY, st.integers(1, 2000), st.integers(1, 3))
def test_shallow_fifos_too(plan, samples, depth):
    edges = tuple(replace(edge, depth=min(edge.depth, depth)) for edge in plan.edges)
    assert_same(replace(plan, edges=edges), samples, (0, 0))


@QUICK
@given(random_plan(cycles=ALIKE, max_stages=5, extra_depth=60), st.integers(1, 4000))
def test_long_flights_too(plan, samples):
    """While FIFOs fill, what a stage waits for changes from its producer to the network."""
    assert_same(plans.with_constants(plan, noc__hop_cycles=100), samples, (0, 0))


@pytest.mark.parametrize("extra", [0, 200])
def test_a_fifo_that_fills_by_a_cycle_per_sample(extra):
    """1 cycle of difference: the FIFOs fill over some 1000 x depth samples, one regime for each
    place in them."""
    stages = [(400, 500, 100), (400, 500, 101), (400, 500, 100), (401, 500, 101)]
    plan = plans.with_depths(plans.chain(stages), extra)
    for samples in (999, 50_000):
        assert_same(plan, samples, (0, 0))


def test_a_period_of_several_samples():
    """Flights of 1005 cycles with 7 under way: 7 samples in 1005 cycles, a period of 7."""
    constants = plans.CONSTANTS | {"noc.hop_cycles": 100}
    edges = [plans.edge(-1, 0), plans.edge(0, 1, 16, 0, 7)]
    plan = plans.plan([(10, 10, 10), (10, 10, 10)], edges, constants)
    assert_same(plan, 5000, (0, 0))
    report = simulate(plan, 10**8)
    assert report.initiation_interval_cycles == pytest.approx(1005 / 7, rel=1e-6)


def test_units_that_share_nothing_are_not_taken_for_a_pipeline():
    """Two stages without a stream between them have a rate each."""
    assert_same(plans.plan([(10, 10, 10), (20, 20, 20)], []), 500, (0, 0))


def assert_same(plan, samples, window):
    full, leaping = (play(plan, samples, window, leap) for leap in (False, True))
    assert full[0] == leaping[0]
    for name, ours, theirs in zip(full[1]._fields, leaping[1], full[1], strict=True):
        assert name == "total" or np.array_equal(ours, theirs), name


def play(plan, samples, window, leap):
    wiring = wire(Layout.of(plan))
    table = tables(wiring, samples)
    state = start(table, window)
    if leap:
        return steady.run(table, state, samples, window), state
    return engine.run(table, state, samples, window[0], samples + table.delay), state
