"""Colours of streams: different where streams meet, as long as there are enough."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
from helpers import plans
from helpers.random_plans import random_plan, sharing_plan
from hypothesis import given, settings
from hypothesis import strategies as st
from weft.compiler.plan.check import check
from weft.compiler.plan.document import PlanDocument
from weft.compiler.targets import load_target
from weft.compiler.timing.colours import colours_of, turns
from weft.compiler.timing.layout import Layout
from weft.compiler.timing.pace import pace_of
from weft.compiler.timing.totals import totals
from weft.compiler.timing.wiring import FORWARD, wire

QUICK = settings(max_examples=60, deadline=None, derandomize=True)
KEPT = 7
"""Colours of the collectives of 4 x 8 PEs with two slices of positions: operands along rows and
down columns, two of sums, and three of sums that run beside other operators."""


def with_routes(plan: PlanDocument, rows: list[int]) -> PlanDocument:
    """Its streams on other rows: along the first row, down, and along to the end."""
    edges = []
    for edge, row in zip(plan.edges, rows, strict=False):
        (top, left), (_, right) = edge.route
        middle = (left + right) // 2
        route = ((top, left), (top, middle), (top + row, middle), (top + row, right))
        edges.append(replace(edge, route=tuple(dict.fromkeys(route))))
    return replace(plan, edges=tuple(edges))


def walked(layout: Layout, wiring) -> list[set[tuple[int, int]]]:
    """Routers of every channel, lane by lane and step by step."""
    found = []
    for channel in wiring.channels:
        route = layout.edges[channel.edge].route
        route = route if channel.phase == FORWARD else route[::-1]
        own = set()
        for (row, column), (to_row, to_column) in pairwise(route):
            for lane in range(channel.links):
                if row == to_row:
                    first = min(max(row - channel.links // 2, 0), layout.grid[0] - channel.links)
                    low, high = sorted((column, to_column))
                    own |= {(first + lane, c) for c in range(low, high + 1)}
                else:
                    first = min(max(column - channel.links // 2, 0), layout.grid[1] - channel.links)
                    low, high = sorted((row, to_row))
                    own |= {(r, first + lane) for r in range(low, high + 1)}
        found.append(own)
    return found


RANDOM = st.tuples(random_plan(max_stages=6), st.lists(st.integers(0, 9), min_size=20, max_size=20))


@QUICK
@given(RANDOM, st.integers(KEPT + 1, 40))
def test_streams_that_meet_have_colours_of_their_own_or_take_turns(drawn, colours):
    plan = with_routes(*drawn)
    constants = plans.CONSTANTS | {"noc.colours": colours}
    layout = Layout.of(
        plans.plan([tuple(vars(s.cycles).values()) for s in plan.stages], plan.edges, constants)
    )
    wiring = wire(layout)
    found, routers = colours_of(layout, wiring), walked(layout, wiring)
    taken_in_turns = {(a, b) for a, b, _ in turns(wiring, found)}
    for one, own in enumerate(routers):
        for other in range(one):
            meets = bool(own & routers[other])
            assert found.meets[one, other] == meets
            ends = {(wiring.channels[n].phase, wiring.channels[n].producer) for n in (one, other)}
            if meets and found.colour[one] == found.colour[other] and len(ends) > 1:
                assert {(one, other), (other, one)} <= taken_in_turns
    assert max(found.colour, default=0) < max(1, colours - KEPT)
    if found.sharing:
        assert len(set(found.colour)) == colours - KEPT


@QUICK
@given(sharing_plan(max_stages=8), st.integers(KEPT + 1, KEPT + 3))
def test_turns_are_kept_where_stages_share_a_region(plan, colours):
    """Their forwards come from the last to the first in a tick, and so do all streams: a plan that
    runs with a colour for each stream runs with few. Both proofs, each with its own order, say so.
    """
    constants = plans.CONSTANTS | {"noc.colours": colours}
    cycles = [tuple(vars(stage.cycles).values()) for stage in plan.stages]
    few = plans.plan(cycles, plan.edges, constants)
    plan = replace(
        few,
        stages=tuple(
            replace(own, uses=stage.uses)
            for own, stage in zip(few.stages, plan.stages, strict=True)
        ),
    )
    layout = Layout.of(plan)
    if not pace_of(layout).is_stuck:
        assert totals(layout, plan.stages, load_target("tiny_mesh"), 1).initiation_interval_cycles
        assert not [found for found in check(plan) if found.rule == "cannot-hang"]


def test_queues_are_shared_by_as_few_as_can_be():
    """Nine stages read by the last: 9 streams into it, beside 5 queues of its collectives."""
    edges = [plans.edge(-1, 0, 8), *(plans.edge(i, i + 1, 8, 8) for i in range(8))]
    edges += [plans.edge(i, 9, 8, 8) for i in range(9)]
    constants = plans.CONSTANTS | {"noc.queues": 8}
    layout = Layout.of(plans.plan([(10, 10, 10)] * 10, edges, constants))
    groups = colours_of(layout, wire(layout)).queues
    into_last = [g for g in groups if all(wire(layout).channels[n].consumer == 9 for n in g)]
    assert sorted(map(len, into_last)) == [3, 3, 3]
    assert not np.intersect1d(*into_last[:2]).size
