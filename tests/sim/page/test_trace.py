"""The trace is valid JSON of the Trace Event Format and says what the timeline says."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from helpers import plans
from weft.backend.errors import UserError
from weft.compiler.timing.layout import Layout
from weft.compiler.timing.wiring import wire
from weft.sim import timeline
from weft.sim.page.memory import memory_over_time
from weft.sim.page.trace import write_trace

PLAN = plans.chain([(10, 20, 5), (30, 40, 10), (10, 10, 10)], size=400)

SUM_BETWEEN = plans.plan(
    [(10, 20, 5), (7, 0, 0), (10, 30, 10)],
    [plans.edge(-1, 0, 8), *(plans.edge(i, i + 1, 800, 800, parts=8) for i in range(2))],
)


@pytest.fixture
def events(tmp_path):
    path = tmp_path / "trace.json"
    write_trace(PLAN, path, first=6, samples=5)
    assert [file.name for file in tmp_path.iterdir()] == ["trace.json"]
    return json.loads(path.read_text())["traceEvents"]


def test_one_named_track_per_stage(events):
    named = [e for e in events if e["name"] == "thread_name"]
    names = {e["tid"]: e["args"]["name"] for e in named if e["pid"] == 1}
    assert names == {stage.index + 10: stage.id for stage in PLAN.stages}


def test_slices_are_the_timeline(events):
    """Clock 1 GHz: a cycle is a thousandth of a microsecond."""
    slices = [e for e in events if e["ph"] == "X" and e["pid"] == 1]
    assert {"ph", "pid", "tid", "ts", "dur", "name", "cat", "args"} <= set(slices[0])
    expected = timeline(PLAN, 6 + 5 + 4, 6, 5)
    assert [(e["args"]["begin_cycle"], e["args"]["end_cycle"]) for e in slices] == [
        (s.begin, s.end) for s in expected
    ]
    assert [e["args"]["work_cycles"] for e in slices] == [s.work_cycles for s in expected]
    assert all(e["ts"] * 1000 == pytest.approx(e["args"]["begin_cycle"]) for e in slices)
    assert {e["name"] for e in slices} >= {"F6", "B10", "U10"}


def test_slices_of_a_track_do_not_overlap(events):
    for stage in PLAN.stages:
        own = sorted(
            (e["args"]["begin_cycle"], e["args"]["end_cycle"])
            for e in events
            if e["ph"] == "X" and e["pid"] == 1 and e["tid"] == stage.index + 10
        )
        assert all(a[1] <= b[0] for a, b in pairwise(own))


def test_phases_beside_each_other_have_a_track_each(tmp_path):
    """Slices of a thread that overlap are no nesting: viewers drop or misplace them."""
    chain = plans.chain([(10, 20, 5), (50, 40, 10), (10, 10, 10)], size=400)
    plan = plans.apart(plans.backward_first(chain), 1)
    write_trace(plan, tmp_path / "t.json", samples=4)
    events = json.loads((tmp_path / "t.json").read_text())["traceEvents"]
    named = [e for e in events if e["name"] == "thread_name" and e["pid"] == 1]
    assert {e["tid"]: e["args"]["name"] for e in named} == {
        10: "layer0",
        11: "layer1: forward",
        12: "layer1: backward and update",
        13: "layer2",
    }
    slices = [e for e in events if e["ph"] == "X" and e["pid"] == 1]
    assert {e["cat"] for e in slices if e["tid"] == 11} == {"forward"}
    assert {e["cat"] for e in slices if e["tid"] == 12} == {"backward", "update"}
    spans = {
        track: sorted(
            (e["args"]["begin_cycle"], e["args"]["end_cycle"]) for e in slices if e["tid"] == track
        )
        for track in range(10, 14)
    }
    assert all(a[1] <= b[0] for own in spans.values() for a, b in pairwise(own))
    assert any(a[0] < b[1] and b[0] < a[1] for a in spans[11] for b in spans[12])
    on_track = {(e["tid"], e["ts"]) for e in slices}
    arrows = [e for e in events if e["ph"] in "stf" and e["pid"] == 1]
    assert {(e["tid"], e["ts"]) for e in arrows} <= on_track


def test_streams_are_tracks_on_which_each_sample_takes_its_links(events):
    """As many as there are streams; a sample leaves when its stage has begun, at the earliest, and
    stays as long as its bytes take, at the least; one follows the other."""
    wiring = wire(Layout.of(PLAN))
    named = [e for e in events if e["name"] == "thread_name" and e["pid"] == 4]
    assert [e["args"]["name"] for e in named] == [wiring.label(c) for c in wiring.channels]
    begun = {(s.stage, s.phase, s.sample): s.begin for s in timeline(PLAN, 6 + 5 + 4, 6, 5)}
    for name, channel in zip(named, wiring.channels, strict=True):
        own = [e for e in events if e["ph"] == "X" and (e["pid"], e["tid"]) == (4, name["tid"])]
        assert [e["args"]["sample"] for e in own] == list(range(6, 11))
        spans = [(e["args"]["begin_cycle"], e["args"]["end_cycle"]) for e in own]
        assert all(end - begin >= channel.work_cycles for begin, end in spans)
        assert all(end <= begin for (_, end), (begin, _) in pairwise(spans))
        producer = wiring.units[channel.producer].name
        for e, (begin, _) in zip(own, spans, strict=True):
            assert begin >= begun.get((producer, e["cat"], e["args"]["sample"]), 0)


def test_a_trace_that_cannot_be_written_leaves_nothing(tmp_path):
    with pytest.raises(UserError, match="missing"):
        write_trace(PLAN, tmp_path / "missing" / "trace.json")
    assert not any(tmp_path.iterdir())


def test_memory_is_a_counter_of_each_stage(events):
    """What `memory_over_time` says, never more than the plan gives a stage."""
    counters = [e for e in events if e["ph"] == "C" and e["pid"] == 3]
    for stage, held in zip(PLAN.stages, memory_over_time(PLAN, 6 + 5 + 4, 6, 5), strict=True):
        own = [e for e in counters if e["name"] == stage.id]
        assert [round(e["ts"] * 1000) for e in own] == [entry.cycle for entry in held]
        assert [sum(e["args"].values()) for e in own] == [entry.total_bytes for entry in held]
        assert max(entry.total_bytes for entry in held) <= stage.memory_per_pe.total_bytes


def test_the_trace_begins_with_the_first_sample_and_shows_the_fill(tmp_path):
    write_trace(PLAN, tmp_path / "trace.json", samples=5)
    events = json.loads((tmp_path / "trace.json").read_text())["traceEvents"]
    last = PLAN.stages[-1].index + 10
    begun = {e["tid"]: e["ts"] for e in reversed(events) if e["ph"] == "X" and e["pid"] == 1}
    assert {e["args"]["sample"] for e in events if e["ph"] == "X"} == set(range(4 + 5))
    assert begun[last] > begun[10]


def test_a_phase_without_work_is_no_slice(tmp_path):
    """The table of a sum says 0 backward cycles; a bar would say that it takes some."""
    write_trace(SUM_BETWEEN, tmp_path / "t.json", samples=4)
    events = json.loads((tmp_path / "t.json").read_text())["traceEvents"]
    stages = [e for e in events if e["ph"] == "X" and e["pid"] == 1]
    assert {e["cat"] for e in stages if e["tid"] == 11} == {"forward"}
    assert {e["cat"] for e in stages if e["tid"] == 10} == {"forward", "backward", "update"}
    passing = [s for s in timeline(SUM_BETWEEN, 9, 0, 9) if not s.work_cycles and s.end > s.begin]
    assert passing, "its rows pass through for a while, or the test shows nothing"
