"""Streams that share mesh links: who meets whom, max-min fair rates, and what starts can change."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from helpers import plans
from hypothesis import given, settings
from hypothesis import strategies as st
from weft.compiler.timing.layout import Layout
from weft.compiler.timing.link_shares import fair_cycles, pieces, shared_links
from weft.compiler.timing.wiring import wire
from weft.sim import simulate
from weft.sim.event import engine
from weft.sim.model.state import start, tables

QUICK = settings(max_examples=60, deadline=None, derandomize=True)
CORNER = st.tuples(st.integers(0, 15), st.integers(0, 23))
GRID = plans.plan([(1, 1, 1), (1, 1, 1)], [plans.edge(0, 1)])


@st.composite
def routes(draw):
    """Up to 6 streams on the 16 x 24 grid of `GRID`: along a row, then along a column."""
    found = []
    for source, sink in draw(st.lists(st.tuples(CORNER, CORNER), min_size=1, max_size=6)):
        corners = (source, (source[0], sink[1]), sink)
        found.append((tuple(dict.fromkeys(corners)), draw(st.integers(1, 5))))
    return found


@QUICK
@given(routes())
def test_the_most_loaded_link_is_found(streams):
    """Against a count over every single link of the mesh."""
    found = [p for n, (route, lanes) in enumerate(streams) for p in pieces(GRID, n, route, lanes)]
    work = np.arange(1, len(streams) + 1, dtype=float)
    used = [{p.stream for p in found}]
    load = np.zeros((4, *GRID.grid))
    for piece in found:
        load[piece.direction, slice(*piece.rows), slice(*piece.columns)] += work[piece.stream]
    alone = max((work[n] for n in used[0]), default=0.0)
    assert (shared_links(found, len(streams)) @ work).max() >= load.max() >= alone
    if load.max() > work.max():
        assert (shared_links(found, len(streams)) @ work).max() == load.max()


@QUICK
@given(routes())
def test_a_band_is_as_wide_as_its_lanes_and_as_long_as_its_route(streams):
    for number, (route, lanes) in enumerate(streams):
        found = pieces(GRID, number, route, lanes)
        area = sum((p.rows[1] - p.rows[0]) * (p.columns[1] - p.columns[0]) for p in found)
        assert area == lanes * sum(abs(a - c) + abs(b - d) for (a, b), (c, d) in pairwise(route))


@QUICK
@given(routes())
def test_a_band_of_columns_stays_on_the_wafer_of_its_route(streams):
    """On the second of two wafers the same routes take the same links, a grid further on."""
    chain, across = replace(GRID, wafers=2), GRID.grid[1]
    for number, (route, lanes) in enumerate(streams):
        shifted = tuple((row, column + across) for row, column in route)
        alone, second = (pieces(p, number, r, lanes) for p, r in ((GRID, route), (chain, shifted)))
        assert pieces(chain, number, route, lanes) == alone
        moved = [replace(p, columns=(p.columns[0] + across, p.columns[1] + across)) for p in alone]
        assert second == moved


MATRIX = st.lists(st.lists(st.booleans(), min_size=5, max_size=5), min_size=1, max_size=6)


@QUICK
@given(MATRIX, st.lists(st.integers(0, 100), min_size=5, max_size=5))
def test_rates_are_feasible_and_nobody_can_gain_without_a_slower_one_losing(rows, work):
    """The definition of max-min fairness: every stream has a full link on which it is fastest."""
    shared = np.concatenate([np.eye(5, dtype=bool), np.array(rows)])
    need = np.array(work, float)
    cycles = fair_cycles(shared, need)
    assert (cycles >= need).all()
    rate = np.divide(1.0, cycles, out=np.zeros(5), where=cycles > 0)
    load = (shared * need * rate).sum(axis=1)
    assert (load <= 1 + 1e-9).all()
    for stream in np.nonzero(need)[0]:
        full = shared[:, stream] & (load > 1 - 1e-9)
        others = shared[full][:, need > 0]
        assert any(rate[stream] >= rate[need > 0][users].max() - 1e-9 for users in others)


def crossing(starts=(0, 0), size=3200):
    """0 -> 2 and 1 -> 3 side by side over the same links: 100 cycles of them each."""
    edges = [plans.edge(0, 2, size, 0, 4), plans.edge(1, 3, size, 0, 4)]
    plan = plans.plan([(20, 1, 1)] * 4, edges)
    stages = tuple(replace(stage, delay=0) for stage in plan.stages)
    return replace(plan, stages=stages)


def test_a_shared_link_takes_the_sum():
    """Columns 14 to 24 carry both streams: 200 cycles for a sample of each."""
    channels = wire(Layout.of(crossing())).channels
    assert [c.work_cycles for c in channels] == [100, 100]
    assert [c.occupancy_cycles for c in channels] == [200, 200]
    for level in ("event", "analytic"):
        report = simulate(crossing(), 300, level)
        assert report.initiation_interval_cycles == pytest.approx(200, rel=0.01)
        assert report.bound_by.startswith("link: ")


@QUICK
@given(st.lists(st.integers(0, 400), min_size=4, max_size=4))
def test_staggering_the_starts_on_a_saturated_link_cannot_help(starts):
    """The pace is that of the link, whenever the units begin."""
    wiring = wire(Layout.of(crossing()))
    units = tuple(
        replace(unit, start_cycles=cycles)
        for unit, cycles in zip(wiring.units, starts, strict=True)
    )
    assert interval(replace(wiring, units=units)) == 200


@QUICK
@given(st.lists(st.integers(0, 400), min_size=2, max_size=2))
def test_the_static_share_is_what_sharing_moment_by_moment_gives(starts):
    """Two senders on one link that is divided anew whenever one of them begins or ends."""
    sent = moment_by_moment(starts, work=100.0, pause=20.0, samples=300)
    paces = [(times[-1] - times[99]) / (len(times) - 100) for times in sent]
    assert paces == pytest.approx([200, 200], rel=0.01)


def moment_by_moment(starts, work, pause, samples):
    """Times at which two senders have sent each sample; each computes for `pause`, but works ahead
    of its link by one sample."""
    now, done = 0.0, ([], [])
    ready = [[start + pause * (i + 1) for i in range(samples)] for start in starts]
    left = [work, work]
    while min(map(len, done)) < samples:
        active = [s for s in (0, 1) if len(done[s]) < samples and ready[s][len(done[s])] <= now]
        waiting = [ready[s][len(done[s])] for s in (0, 1) if len(done[s]) < samples]
        later = min((t for t in waiting if t > now), default=np.inf)
        if not active:
            now = later
            continue
        step = min(later - now, min(left[s] for s in active) * len(active))
        for s in active:
            left[s] -= step / len(active)
        now += step
        for s in active:
            if left[s] < 1e-9:
                done[s].append(now)
                left[s] = work
    both = min(done[0][-1], done[1][-1])
    return [[t for t in times if t <= both] for times in done]


def interval(wiring):
    table = tables(wiring, 400)
    state = start(table, (200, 101))
    assert engine.run(table, state, 400, 200, 400 + table.delay)
    begins = state.slices[2:4, :, 0, 0]
    return max((begins[:, -1] - begins[:, 0]) / 100)
