"""A pace is kept where no circle of waits asks for more: held against all circles, one by one."""

from __future__ import annotations

from itertools import pairwise

import networkx as nx
import pytest
import torch
from helpers.meshes_with_defects import plan_for
from helpers.stages_of import stages_of
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from weft.compiler.plan.check import schedule
from weft.compiler.plan.check.schedule import BACKWARD, FORWARD, Wait, keeps_pace
from weft.compiler.plan.check.violation import Subject
from weft.compiler.targets import load_target

EVENTS = [
    *(("begins", unit, phase) for unit in range(3) for phase in (FORWARD, BACKWARD)),
    ("ends", ("host", 0), FORWARD),
    ("left", BACKWARD, 2, 1),
]
ARCS = st.tuples(*[st.sampled_from(EVENTS)] * 2, st.integers(0, 9), st.integers(-2, 3))


def by_circles(waits: list[Wait], interval: float) -> bool:
    """Whether no circle of waits takes longer than its samples last."""
    graph = nx.DiGraph()
    for tail, head, cycles, samples in waits:
        weight = cycles - samples * interval
        known = graph.get_edge_data(tail, head, {"weight": weight})["weight"]
        graph.add_edge(tail, head, weight=max(weight, known))
    rings = ([*ring, ring[0]] for ring in nx.simple_cycles(graph))
    return all(sum(graph[a][b]["weight"] for a, b in pairwise(ring)) <= 1e-6 for ring in rings)


@given(st.lists(ARCS, min_size=1, max_size=14), st.integers(1, 12))
def test_as_all_circles_say(arcs, interval: int):
    waits = [Wait(*arc) for arc in arcs]
    assert keeps_pace(waits, interval) is by_circles(waits, interval)


def test_deep_pipelines_take_no_more_passes(monkeypatch: pytest.MonkeyPatch):
    """A pass went on by half a stage: 1,604 of them for 801 stages."""
    layers = [part for _ in range(48) for part in (nn.Linear(16, 16), nn.ReLU())]
    document = plan_for(load_target("wse2"), stages_of(nn.Sequential(*layers), torch.zeros(1, 16)))
    timing = Subject(document, None, {}).timing
    assert timing is not None
    looks = []
    kept = schedule._has_loop
    monkeypatch.setattr(schedule, "_has_loop", lambda cause: kept(looks.append(1) or cause))
    assert keeps_pace(timing.waits, document.totals.initiation_interval_cycles)
    assert len(looks) <= 3


def test_turns_of_streams_take_no_more_passes(monkeypatch: pytest.MonkeyPatch):
    """Those of a tick lead from stage to stage against the samples: a pass went on by one turn."""
    units = range(400)
    turns = [
        Wait(("left", FORWARD, unit + 1, unit + 2), ("departs", FORWARD, unit, unit + 1), 0, 1)
        for unit in units
    ]
    flights = [
        Wait(("departs", FORWARD, unit, unit + 1), ("left", FORWARD, unit, unit + 1), 5, 0)
        for unit in units
    ]
    waits = [*flights, *turns]
    looks = []
    kept = schedule._has_loop
    monkeypatch.setattr(schedule, "_has_loop", lambda cause: kept(looks.append(1) or cause))
    assert keeps_pace(waits, 10_000)
    assert len(looks) <= 1
