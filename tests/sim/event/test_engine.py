"""The compiled core of the event level: units take from channels, work, and give to channels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from helpers import plans
from helpers.crossing_streams import crossing
from helpers.random_plans import random_plan
from hypothesis import given, settings
from hypothesis import strategies as st
from weft.compiler.timing.layout import Layout
from weft.compiler.timing.wiring import wire
from weft.sim.event import engine
from weft.sim.model.state import start, tables

QUICK = settings(max_examples=60, deadline=None, derandomize=True)


FLIGHT = 20 + 4


def begins(wiring, samples):
    """When each unit begins each forward."""
    table = tables(wiring, samples)
    state = start(table, (0, samples))
    assert engine.run(table, state, samples, 0, samples + table.delay)
    return state.slices[:, :, 0, 0]


def test_a_burst_has_the_link_at_full_width():
    """Both sources work for 1000 cycles, so that the link is idle most of the time."""
    at = begins(wire(Layout.of(crossing((1000, 1000, 20, 20)))), 3)
    assert (at[2:4, 0] == 1000 + 100 + FLIGHT).all()
    assert (np.diff(at[2:4]) == 1002).all()


def test_a_stream_that_always_flows_has_its_share_of_the_link():
    """Its second item waits until 200 cycles after the first one began to leave."""
    at = begins(wire(Layout.of(crossing((20, 20, 20, 20)))), 5)
    assert (at[2:4, 0] == 20 + 100 + FLIGHT).all()
    assert (np.diff(at[2:4]) == 200).all()


@QUICK
@given(random_plan(max_bytes=40000))
def test_nothing_is_later_than_with_the_links_divided_once_and_for_all(plan):
    wiring = wire(Layout.of(plan))
    divided = [replace(c, work_cycles=c.occupancy_cycles) for c in wiring.channels]
    ours, theirs = begins(wiring, 40), begins(replace(wiring, channels=tuple(divided)), 40)
    assert (ours <= theirs).all()


@QUICK
@given(random_plan(max_bytes=40000), st.sampled_from([0.9, 0.5, 0.1]))
def test_slower_links_make_nothing_earlier(plan, factor):
    slow = plans.with_constants(plan, noc__link_bytes_per_cycle=factor)
    assert (begins(wire(Layout.of(slow)), 40) >= begins(wire(Layout.of(plan)), 40)).all()


@QUICK
@given(random_plan(max_bytes=40000), st.integers(1, 300), st.data())
def test_a_slower_stage_makes_nothing_earlier(plan, more, data):
    index = data.draw(st.integers(0, len(plan.stages) - 1))
    now = plan.stages[index].cycles
    added = now.forward_cycles + more, now.backward_cycles, now.update_cycles
    slow = wire(Layout.of(plans.with_cycles(plan, index, added)))
    assert (begins(slow, 40) >= begins(wire(Layout.of(plan)), 40)).all()
