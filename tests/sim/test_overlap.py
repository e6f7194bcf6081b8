"""Stages overlap in time when samples come in parts; numbers by hand."""

from __future__ import annotations

from dataclasses import replace

from helpers import plans
from helpers.random_plans import random_plan
from hypothesis import given, settings
from weft.sim import simulate

QUICK = settings(max_examples=40, deadline=None, derandomize=True)


@QUICK
@given(random_plan())
def test_parts_are_never_slower_than_whole_samples(plan):
    edges = tuple(replace(e, parts=1, window=1, gradient_window=1) for e in plan.edges)
    whole, parts = simulate(replace(plan, edges=edges), 80), simulate(plan, 80)
    assert parts.cycles <= whole.cycles
    assert parts.initiation_interval_cycles <= whole.initiation_interval_cycles


def idle(plan, stage):
    """What a stage waits for most while the pipeline is full."""
    found = dict(simulate(plan, 200).stages[stage].idle_cycles)
    return max(found.keys() - {"fill", "drain"}, key=found.__getitem__)


def forward_only(cycles):
    edges = [plans.edge(-1, 0), *(plans.edge(i, i + 1, 32) for i in range(len(cycles) - 1))]
    return plans.plan(cycles, edges)


def test_a_fast_stage_waits_for_a_slow_one():
    """Behind the slow one it is imbalance; before it, with the FIFO full, it is blocked."""
    plan = forward_only([(10, 10, 10), (100, 100, 100), (10, 10, 10)])
    assert idle(plan, 2) == "imbalance"
    assert idle(plan, 0) == "blocked"


def test_a_stage_behind_a_waiting_one_starves():
    """The last stage waits for one that mostly waits for the first."""
    plan = forward_only([(300, 300, 300), (10, 10, 10), (10, 10, 10)])
    assert idle(plan, 1) == "imbalance"
    assert idle(plan, 2) == "starved"


def test_a_fifo_too_shallow_for_its_flight_is_a_loop():
    """A flight of 1005 cycles with one sample under way: both ends wait, deeper would help."""
    constants = plans.CONSTANTS | {"noc.hop_cycles": 100}
    edges = [plans.edge(-1, 0), plans.edge(0, 1, 16, 0, 1)]
    plan = plans.plan([(10, 10, 10), (10, 10, 10)], edges, constants)
    assert idle(plan, 0) == "loop"
    assert idle(plan, 1) == "link"
    deeper = replace(plan, edges=(edges[0], replace(edges[1], depth=60)))
    assert simulate(deeper, 200).stages[0].idle_cycles["loop"] == 0


def test_a_slow_host_is_named():
    slow = plans.CONSTANTS | {"host.bytes_per_s": 1e9}
    edges = [plans.edge(-1, 0, 300), plans.edge(0, 1, 16, 16)]
    assert idle(plans.plan([(10, 20, 5), (10, 20, 5)], edges, slow), 0) == "host"
