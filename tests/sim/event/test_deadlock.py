"""A FIFO that is too small is found, by both levels, and named."""

from __future__ import annotations

import pytest
from helpers import plans
from weft.backend.errors import UnknownNameError, UserError
from weft.sim import simulate

STAGES = [(10, 10, 10)] * 4


def with_skip(depth):
    """0 -> 1 -> 2 -> 3 and a skip 0 -> 3: forward and backward FIFOs of the skip hold `depth`."""
    edges = [plans.edge(-1, 0, 8), *(plans.edge(i, i + 1, 8, 8) for i in range(3))]
    return plans.plan(STAGES, [*edges, plans.edge(0, 3, 8, 8, depth=depth)])


@pytest.mark.parametrize("level", ["event", "analytic"])
def test_a_shallow_skip_deadlocks_with_its_cycle_of_waits(level):
    report = simulate(with_skip(1), 100, level)
    assert report.deadlock
    assert report.bound_by == "deadlock"
    assert report.throughput_samples_per_s == 0
    assert report.to_dict()["initiation_interval_cycles"] is None
    assert any("layer0 -> layer3" in wait.stream for wait in report.deadlock)
    assert any("layer3 -> layer0" in wait.stream for wait in report.deadlock)
    ring = [wait.stage for wait in report.deadlock]
    assert [wait.on for wait in report.deadlock] == [*ring[1:], ring[0]]


@pytest.mark.parametrize("level", ["event", "analytic"])
def test_as_deep_as_the_span_is_enough(level):
    report = simulate(with_skip(3), 100, level)
    assert not report.deadlock
    assert report.initiation_interval_cycles == pytest.approx(30, rel=0.2)


def test_levels_agree_on_what_deadlocks():
    verdicts = {
        depth: [bool(simulate(with_skip(depth), 100, lv).deadlock) for lv in ("event", "analytic")]
        for depth in range(1, 5)
    }
    assert verdicts == {1: [True] * 2, 2: [True] * 2, 3: [False] * 2, 4: [False] * 2}


def test_idle_still_adds_up_when_stuck():
    report = simulate(with_skip(1), 100)
    for row in report.stages:
        assert row.busy_cycles + sum(row.idle_cycles.values()) == report.cycles


def test_bad_input_is_named():
    plan = with_skip(3)
    with pytest.raises(UnknownNameError, match="did you mean 'event'"):
        simulate(plan, 10, "events")
    with pytest.raises(UserError, match="at least 1 sample"):
        simulate(plan, 0)
    with pytest.raises(UserError, match="edge 0 -> 3"):
        simulate(with_skip(-1), 10)
    without = plans.plan(STAGES, plan.edges, {"host.bytes_per_s": 1e9, "host.latency_s": 0})
    with pytest.raises(UserError, match=r"noc\.link_bytes_per_cycle"):
        simulate(without, 10)
    wrong = plans.plan(STAGES, plan.edges, plans.CONSTANTS | {"noc.hop_cycles": "one"})
    with pytest.raises(UserError, match=r"'noc\.hop_cycles'"):
        simulate(wrong, 10)
