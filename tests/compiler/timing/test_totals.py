"""Totals of a plan: its steady pace, the latency of a sample, work and shares of the machine."""

from __future__ import annotations

import pytest
from helpers import plans
from weft.backend.errors import UserError
from weft.compiler.plan.document import PlanDocument
from weft.compiler.targets import load_target
from weft.compiler.timing.colours import colours_of, turns
from weft.compiler.timing.layout import Layout
from weft.compiler.timing.totals import totals
from weft.compiler.timing.wiring import wire

KEPT = 7
"""Colours of the collectives of 4 x 8 PEs with two slices of positions: operands along rows and
down columns, two of sums, and three of sums that run beside other operators."""


def many_streams(colours: int, skip_depth: int = 4) -> PlanDocument:
    """Five stages and a skip over all of them."""
    edges = [plans.edge(-1, 0, 8), *(plans.edge(i, i + 1, 8, 8) for i in range(4))]
    edges.append(plans.edge(0, 4, 8, 8, depth=skip_depth))
    constants = plans.CONSTANTS | {"noc.colours": colours}
    return plans.plan([(10, 10, 10)] * 5, edges, constants)


def total(plan: PlanDocument):
    return totals(Layout.of(plan), plan.stages, load_target("tiny_mesh"), 1)


def test_all_on_one_colour_in_the_order_of_ticks_cannot_hang():
    layout = Layout.of(many_streams(KEPT + 1))
    shared = colours_of(layout, wire(layout)).sharing
    assert len(shared) >= 10
    assert total(many_streams(KEPT + 1)).initiation_interval_cycles == pytest.approx(30, rel=0.3)


def test_a_circle_through_a_shared_colour_is_named(monkeypatch):
    """Two stages that would send in the order against that of ticks, each waiting for the other."""

    def against(wiring, colours):
        for one, other, samples in turns(wiring, colours):
            yield one, other, samples - 1

    monkeypatch.setattr("weft.compiler.timing.totals.turns", against)
    with pytest.raises(UserError, match=r"(?s)cycle of waits through shared colours: .*layer"):
        total(many_streams(KEPT + 1))
