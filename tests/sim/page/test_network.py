"""The picture of the pipeline: every stage and stream once, skips that overlap in lanes apart."""

from __future__ import annotations

from itertools import combinations
from random import Random
from xml.etree import ElementTree

from helpers import plans
from weft.sim import simulate
from weft.sim.page.network import lanes_of, network_svg


def drawn(edges, stages=5):
    chain = [plans.edge(-1, 0, 8), *(plans.edge(i, i + 1, 8, 8) for i in range(stages - 1))]
    plan = plans.plan([(10, 10, 10)] * stages, [*chain, *edges])
    return plan, ElementTree.fromstring(network_svg(plan, simulate(plan, 50)))


def test_every_stage_has_a_row_with_its_number_and_delay():
    plan, svg = drawn([])
    rows = svg.findall("g")
    assert [row.get("data-stage") for row in rows] == [str(s.index) for s in plan.stages]
    for row, stage in zip(rows, plan.stages, strict=True):
        assert [t.text for t in row.findall("text")] == [stage.id, str(stage.delay)]


def test_every_stream_is_drawn_between_its_ends():
    _, svg = drawn([plans.edge(0, 3, 16, 16, depth=9)])
    ends = [path.get("data-ends") for path in svg.findall("path")]
    assert sorted(ends) == ["0 1", "0 3", "1 2", "2 3", "3 4"]
    (skip,) = (p for p in svg.findall("path") if p.get("data-ends") == "0 3")
    assert "layer0 to layer3: 16 bytes forward, 16 of gradient" in skip.find("title").text


def test_neighbours_need_no_lane():
    assert lanes_of([(0, 1), (1, 2), (0, 2)]) == [None, None, 0]


def test_skips_that_overlap_have_lanes_of_their_own():
    random = Random(0)
    for _ in range(50):
        ends = [tuple(sorted(random.sample(range(20), 2))) for _ in range(12)]
        lanes = lanes_of(ends)
        for (one, a), (other, b) in combinations(zip(ends, lanes, strict=True), 2):
            if a is not None and a == b:
                assert one[1] <= other[0] or other[1] <= one[0]


def test_skips_one_after_the_other_share_a_lane():
    assert lanes_of([(0, 2), (2, 4), (4, 9)]) == [0, 0, 0]
