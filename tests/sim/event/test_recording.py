"""What happened in a window of samples: what every stage did, and how full every FIFO was."""

from __future__ import annotations

from itertools import pairwise

from helpers import plans
from helpers.random_plans import random_plan
from hypothesis import given, settings
from hypothesis import strategies as st
from weft.sim import simulate, timeline


def test_the_time_of_a_run_does_not_grow_with_its_samples():
    """A run of 10^12 samples, each of 80 cycles, would not end if it were not leapt over."""
    plan = plans.chain([(10, 20, 5), (30, 40, 10), (10, 10, 10)], size=400)
    short, long = simulate(plan, 1000), simulate(plan, 10**12)
    assert long.cycles - short.cycles == 80 * (10**12 - 1000)
    assert long.stages[1].idle_cycles == short.stages[1].idle_cycles
    assert timeline(plan, 10**12, 10**11, 2)[0].begin == 80 * (10**11 - 900) + (
        timeline(plan, 1000, 900, 1)[0].begin
    )


QUICK = settings(max_examples=40, deadline=None, derandomize=True)


@QUICK
@given(random_plan(max_stages=5, may_be_apart=False), st.integers(1, 20))
def test_the_timeline_obeys_the_tick(plan, samples):
    """Every phase of every sample once, one at a time per stage, in the order F(i), B(i - D), U."""
    slices = timeline(plan, samples, 0, samples)
    assert len(slices) == 3 * samples * len(plan.stages)
    for stage in plan.stages:
        own = sorted((s for s in slices if s.stage == stage.id), key=lambda s: (s.begin, s.end))
        assert all(a.end <= b.begin for a, b in pairwise(own))
        assert [(s.phase, s.sample) for s in own] == list(local_order(stage.delay, samples))


@QUICK
@given(random_plan(max_stages=5), st.integers(1, 20))
def test_nothing_starts_before_what_it_needs(plan, samples):
    """A phase begins when the first window of every input may be there, and is not done before the
    last part of it, which leaves when its producer is done, has been worked on."""
    at = {(s.stage, s.phase, s.sample): s for s in timeline(plan, samples, 0, samples)}
    ids = [stage.id for stage in plan.stages]
    for edge in plan.edges:
        flows = [("forward", edge.source, edge.sink, edge.forward_bytes, edge.window)]
        if edge.gradient_bytes:
            back = edge.sink, edge.source, edge.gradient_bytes, edge.gradient_window
            flows.append(("backward", *back))
        for phase, source, sink, size, window in flows:
            for i in range(samples if edge.source >= 0 else 0):
                giver, taker = at[ids[source], phase, i], at[ids[sink], phase, i]
                flight = edge.hops if size else 0
                first = work(plan, source, phase) * window / edge.parts
                assert taker.begin >= giver.begin + first + flight
                assert taker.end >= giver.end + flight + work(plan, sink, phase) / edge.parts
                if window == edge.parts:
                    assert taker.begin >= giver.end + flight


def work(plan, stage, phase):
    cycles = plan.stages[stage].cycles
    return cycles.forward_cycles if phase == "forward" else cycles.backward_cycles


def test_an_edge_never_holds_more_than_its_depth():
    """With a slow sink, sample i leaves the source only when the sink has taken i - depth."""
    for depth in (1, 2, 5):
        plan = plans.chain([(10, 1, 1), (300, 1, 1)], depth=depth)
        at = {(s.stage, s.phase, s.sample): s for s in timeline(plan, 40, 0, 40)}
        for i in range(depth + 3, 40):
            ahead = at["layer0", "forward", i].begin
            assert ahead >= at["layer1", "forward", i - depth - 1].begin


def test_a_window_is_the_same_run():
    plan = plans.chain([(10, 20, 5), (30, 40, 10), (10, 10, 10)], size=400)
    whole = timeline(plan, 50, 0, 50)
    window = timeline(plan, 50, 20, 7)
    assert window == tuple(s for s in whole if 20 <= s.sample < 27)


def local_order(delay, samples):
    for tick in range(samples + delay):
        if tick < samples:
            yield "forward", tick
        if tick >= delay:
            yield "backward", tick - delay
            yield "update", tick - delay


def two(cycles, parts, window, size=320):
    """Two stages, 10 hops apart; `size` bytes take size / 32 cycles."""
    edges = [plans.edge(-1, 0), plans.edge(0, 1, size, 1, 1, parts, window)]
    return plans.plan(cycles, edges)


def forward(plan, stage):
    spans = timeline(plan, 1, 0, 1)
    return next(
        (s.begin, s.end) for s in spans if (s.stage, s.phase) == (f"layer{stage}", "forward")
    )


FLIGHT = 10 + 4


def test_the_next_stage_begins_with_the_first_row():
    """Rows of 10 cycles that take 1 cycle on the links: the last one leaves at 100."""
    plan = two([(100, 1, 1), (50, 1, 1)], parts=10, window=1)
    assert forward(plan, 1) == (10 + 1 + FLIGHT, 100 + 1 + FLIGHT + 5)


def test_a_slow_reader_has_its_rows_ready():
    plan = two([(100, 1, 1), (500, 1, 1)], parts=10, window=1)
    assert forward(plan, 1) == (11 + FLIGHT, 11 + FLIGHT + 500)


def test_a_window_of_rows():
    plan = two([(100, 1, 1), (50, 1, 1)], parts=10, window=3)
    assert forward(plan, 1)[0] == 30 + 1 + FLIGHT


def test_a_slow_link_sets_the_pace():
    """320 cycles on the links, 32 for a row, from the first row on."""
    plan = two([(100, 1, 1), (50, 1, 1)], parts=10, window=1, size=10240)
    assert forward(plan, 1) == (10 + 32 + FLIGHT, 10 + 320 + FLIGHT + 5)


def test_a_reader_that_needs_all_rows_waits_but_the_stream_does_not():
    plan = two([(100, 1, 1), (50, 1, 1)], parts=10, window=10)
    assert forward(plan, 1) == (100 + 1 + FLIGHT, 100 + 1 + FLIGHT + 50)
    whole = two([(100, 1, 1), (50, 1, 1)], parts=1, window=1)
    assert forward(whole, 1) == (100 + 10 + FLIGHT, 100 + 10 + FLIGHT + 50)


def test_rows_pass_through_a_chain():
    """Three stages of 100 cycles: each begins a row of 10 cycles after the one before."""
    edges = [plans.edge(-1, 0), *(plans.edge(i, i + 1, 0, 0, 1, 10, 1) for i in range(2))]
    plan = plans.plan([(100, 1, 1)] * 3, edges)
    assert [forward(plan, stage) for stage in range(3)] == [(0, 100), (10, 110), (20, 120)]
    assert simulate(plan, 1, "analytic").forward_latency_cycles == 120


def test_forward_and_backward_of_a_tick_run_beside_each_other_where_they_are_apart():
    """Both begin when both of the tick before are done."""
    chain = plans.chain([(20, 30, 10), (60, 50, 15), (10, 20, 10)], size=40)
    plan = plans.apart(plans.backward_first(chain), 1)
    slices = [s for s in timeline(plan, 40, 0, 40) if s.stage == "layer1"]
    at = {(s.phase, s.sample): s for s in slices}
    delay, beside = plan.stages[1].delay, 0
    for tick in range(delay + 1, 40):
        forward, backward = at["forward", tick], at["backward", tick - delay]
        before = at["forward", tick - 1].end, at["update", tick - 1 - delay].end
        assert min(forward.begin, backward.begin) >= max(before)
        assert at["update", tick - delay].begin >= backward.end
        beside += forward.begin < backward.end and backward.begin < forward.end
    assert beside > 30
