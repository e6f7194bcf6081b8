"""Stages of one region take turns, in the order of ticks.

A round of a region is a tick of the pipeline: every stage of it does a tick of its own, and no two
phases are at work at once. Forwards come first, from the last stage to the first, then backwards
with their updates, from the first to the last: as in a tick, whoever waits for room in a FIFO waits
for one whose turn has been. Stage a + d of a region whose first stage is a does its tick k in round
k + d, when the first does its tick k + d.

While the pipeline fills, a later stage need not wait for the first to be d ticks ahead: its tick k
comes in round k + min(lag + k, d). The lag is how many forwards the first stage can do until a
sample that is alone has come to the later one; from there on the first gains a tick with each.
Of several later stages each has a longer lag than the one before.
"""

from __future__ import annotations

from dataclasses import replace

from ..plan.stage_record import Rectangle
from .event_graph import EventGraph, begin
from .first_sample import alone
from .layout import Layout
from .wiring import FORWARD, Turn, Wiring


def users(layout: Layout) -> tuple[tuple[int, ...], ...]:
    """The stages of every region that has several, in pipeline order."""
    found: dict[Rectangle, list[int]] = {}
    for number, region in enumerate(layout.regions):
        found.setdefault(region, []).append(number)
    return tuple(tuple(stages) for stages in found.values() if len(stages) > 1)


def with_turns(layout: Layout, wiring: Wiring) -> Wiring:
    """The wiring in which stages of one region take turns."""
    groups = users(layout)
    if not groups:
        return wiring
    first = alone(EventGraph(wiring))
    forward = max(unit.cycles[FORWARD] for unit in wiring.units)
    busiest = max((channel.occupancy_cycles for channel in wiring.channels), default=0)
    units = list(wiring.units)
    for stages in groups:
        start = first[begin(stages[0], FORWARD)] + units[stages[0]].cycles[FORWARD]
        lag = -1
        for stage in stages:
            ahead = stage - stages[0]
            free = int(first[begin(stage, FORWARD)] - start) // max(forward, busiest, 1)
            lag = min(max(free, lag) + 1, ahead)
            others = tuple(other for other in stages if other != stage)
            units[stage] = replace(units[stage], turn=Turn(others, ahead, lag))
    return replace(wiring, units=tuple(units))
