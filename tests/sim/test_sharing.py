"""Streams that share links: what one gets that is alone, and what it never gets less than."""

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
from weft.sim import simulate

QUICK = settings(max_examples=60, deadline=None, derandomize=True)


def test_a_stream_between_wafers_too():
    """A link of 1 byte per cycle that two streams of 3200 bytes pass."""
    plan = crossing((20, 20, 20, 20))
    slow = plans.CONSTANTS | {"wafer_link.bytes_per_s": 1e9, "wafer_link.latency_s": 0}
    far = plans.plan([(20, 1, 1)] * 4, plan.edges, slow)
    stages = (plans.moved(s, replace(s.region, wafer=s.index // 2)) for s in far.stages)
    channels = wire(Layout.of(replace(far, stages=tuple(stages), wafers=2))).channels
    assert [(c.work_cycles, c.occupancy_cycles) for c in channels] == [(3200, 6400)] * 2


@QUICK
@given(random_plan(max_bytes=40000))
def test_the_links_set_the_pace_exactly_as_the_sum_of_their_work(plan):
    """No interval is shorter than the most loaded link needs, and loads are never above 1."""
    report = simulate(plan, 300)
    busiest = max(c.occupancy_cycles for c in wire(Layout.of(plan)).channels)
    assert report.initiation_interval_cycles >= busiest * (1 - 1e-9)
    assert max(max(e.forward_load, e.gradient_load) for e in report.edges) <= 1 + 1e-9


@QUICK
@given(st.lists(st.tuples(st.integers(1, 50), st.integers(0, 500)), min_size=2, max_size=4))
def test_sharing_moment_by_moment_is_at_most_a_turn_later(senders):
    """One link, divided anew at every moment among the senders that have something to send, in
    proportion to their work: an item that leaves when its share allows takes from `work` to the
    sum of all work."""
    turn = sum(work for work, _ in senders)
    leaves = [[first + item * turn for item in range(20)] for _, first in senders]
    for (work, _), left, arrived in zip(
        senders, leaves, fluid([work for work, _ in senders], leaves), strict=True
    ):
        taken = np.array(arrived) - np.array(left)
        assert (taken >= work - 1e-6).all()
        assert (taken <= turn + 1e-6).all()


def fluid(works, leaves):
    """When each item is through, if every sender with a backlog gets a share like its work."""
    left, sent, now = [0.0 for _ in works], [[] for _ in works], 0.0
    coming = sorted((time, who) for who, times in enumerate(leaves) for time in times)
    due = [[] for _ in works]
    while coming or any(due):
        active = [who for who, items in enumerate(due) if items]
        share = {who: works[who] / sum(works[w] for w in active) for who in active}
        ends = [now + left[who] / share[who] for who in active]
        until = min([*ends, *(time for time, _ in coming[:1])])
        for who in active:
            left[who] -= (until - now) * share[who]
        now = until
        for who in active:
            if left[who] < 1e-9:
                sent[who].append(now)
                due[who].pop(0)
                left[who] = float(works[who]) if due[who] else 0.0
        while coming and coming[0][0] <= now:
            who = coming.pop(0)[1]
            due[who].append(now)
            left[who] = left[who] or float(works[who])
    return sent
