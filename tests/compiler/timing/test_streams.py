"""Widths of streams and what crosses links between wafers."""

from __future__ import annotations

from types import SimpleNamespace as Edge

import numpy as np
from weft.compiler.plan.document import HOST
from weft.compiler.plan.stage_record import Rectangle
from weft.compiler.timing import streams

REGIONS = [Rectangle(0, 0, 4, 2), Rectangle(0, 0, 9, 3, wafer=2), Rectangle(5, 5, 1, 7, wafer=1)]


def edge(source: int, sink: int, forward: int = 0, backward: int = 0):
    return Edge(source=source, sink=sink, forward_bytes=forward, backward_bytes=backward)


def test_a_stream_is_as_wide_as_the_longer_side_of_its_smaller_end() -> None:
    assert streams.parallel_links(REGIONS[:2]) == 4
    assert streams.side_links(np.array([1, 5]), np.array([3, 2])).tolist() == [3, 5]


def test_bytes_go_on_and_come_back_over_every_link_between() -> None:
    edges = [edge(0, 1, 10, 1), edge(1, 2, 100, 7), edge(HOST, 1, 5, 5)]
    assert streams.wafer_link_bytes(edges, REGIONS) == {0: (10, 1), 1: (10 + 7, 1 + 100)}


def test_directions_and_neighbours() -> None:
    assert streams.is_backwards(edge(1, 2), REGIONS)
    assert not streams.is_backwards(edge(HOST, 0), REGIONS)
    assert streams.is_inside(edge(0, 1), [REGIONS[0], REGIONS[0]])
    assert not streams.is_inside(edge(0, 1), REGIONS)
