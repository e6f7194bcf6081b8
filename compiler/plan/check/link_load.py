"""Streams over mesh links, derived again: how many cycles per sample the busiest link has to carry.

A link carries one sample of each of its streams per interval, so the sum of their cycles bounds it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from ..document import PlanDocument
from ..stage_record import Rectangle


class Lanes(NamedTuple):
    """A straight piece of a stream: rows and columns of links of one direction, ends excluded."""

    stream: int
    direction: str
    rows: tuple[int, int]
    columns: tuple[int, int]


def lane_count(ends: Sequence[Rectangle]) -> int:
    """A stream's lanes: the narrower end has one per PE of its longer side."""
    return max(1, min(max(region.height, region.width) for region in ends))


def lanes_of(
    plan: PlanDocument, stream: int, route: Sequence[tuple[int, int]], lanes: int
) -> Iterator[Lanes]:
    """The bands of `lanes` links side by side along a route, moved in where they would leave the
    wafer that the route is on."""
    rows, columns = plan.grid
    for (row, column), (to_row, to_column) in pairwise(route):
        if row != to_row:
            wafer = min(column // columns, plan.wafers - 1)
            band = _around(column, lanes, wafer * columns, (wafer + 1) * columns)
            along = (min(row, to_row), max(row, to_row))
            yield Lanes(stream, "south" if to_row > row else "north", along, band)
        else:
            along = (min(column, to_column), max(column, to_column))
            band = _around(row, lanes, 0, rows)
            yield Lanes(stream, "east" if to_column > column else "west", band, along)


def busiest(found: Sequence[Lanes], work: Sequence[int]) -> tuple[int, set[int]]:
    """Cycles per sample of the most loaded link of all, and the streams over links so loaded."""
    most = max(work, default=0)
    streams = {stream for stream, cycles in enumerate(work) if cycles == most}
    for direction in {lanes.direction for lanes in found}:
        load, users = sweep([lanes for lanes in found if lanes.direction == direction], work)
        if load >= most:
            streams, most = users | (streams if load == most else set()), load
    return most, streams


def sweep(own: Sequence[Lanes], work: Sequence[int]) -> tuple[int, set[int]]:
    """The most that adds up at one place, and the streams at places with so much; row by row over
    rectangles of which all count. Columns count from border to border."""
    borders = sorted({column for lanes in own for column in lanes.columns})
    place = {column: number for number, column in enumerate(borders)}
    spans = [slice(place[lanes.columns[0]], place[lanes.columns[1]]) for lanes in own]
    load = np.zeros(len(borders), np.int64)
    changes = sorted(
        (row, sign, number)
        for number, lanes in enumerate(own)
        for row, sign in zip(lanes.rows, (1, -1), strict=True)
    )
    most, there = 0, set[int]()
    for at, (row, sign, number) in enumerate(changes):
        load[spans[number]] += sign * work[own[number].stream]
        is_last = at + 1 == len(changes) or changes[at + 1][0] != row
        peak = int(load.max(initial=0)) if is_last else 0
        if peak >= max(most, 1):
            there = _users(own, row, load == peak, spans) | (there if peak == most else set())
            most = peak
    return most, there


def _users(own: Sequence[Lanes], row: int, full: np.ndarray, spans: Sequence[slice]) -> set[int]:
    return {
        lanes.stream
        for lanes, span in zip(own, spans, strict=True)
        if lanes.rows[0] <= row < lanes.rows[1] and full[span].any()
    }


def _around(middle: int, lanes: int, begin: int, end: int) -> tuple[int, int]:
    width = min(lanes, end - begin)
    first = max(begin, min(middle - width // 2, end - width))
    return first, first + width
