"""Streams on routers, derived again: how many pass the busiest, and which of them ever meet."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from ..document import HOST, PlanDocument
from .link_load import Lanes, lane_count, lanes_of, sweep
from .schedule import FORWARD, CheckedStream


def routers_of(
    plan: PlanDocument, streams: Sequence[CheckedStream]
) -> tuple[tuple[Lanes, ...], ...]:
    """Of each stream the rectangles of routers that it passes, which do not overlap."""
    found = []
    for number, stream in enumerate(streams):
        edge, own = stream.edge, list[Lanes]()
        route = edge.route if stream.phase == FORWARD else edge.route[::-1]
        ends = [plan.stages[i].part for i in (edge.source, edge.sink) if i != HOST]
        for lanes in lanes_of(plan, number, route, lane_count(ends)):
            parts = [_with_ends(lanes)]
            for other in own:
                parts = [rest for part in parts for rest in _outside(part, other)]
            own += parts
        found.append(tuple(own))
    return tuple(found)


def most_streams(routers: Sequence[Sequence[Lanes]]) -> int:
    """Streams on the busiest router."""
    return sweep([lanes for own in routers for lanes in own], [1] * len(routers))[0]


def colours_taken(pairs: Sequence[tuple[int, int]], streams: int) -> int:
    """Colours with which all streams of `pairs` have different ones: each takes the first that is
    free, in order."""
    before: list[set[int]] = [set() for _ in range(streams)]
    for one, other in pairs:
        before[other].add(one)
    colour: list[int] = []
    for others in before:
        taken = {colour[other] for other in others}
        colour.append(next(number for number in range(streams) if number not in taken))
    return max(colour, default=-1) + 1


def meetings(routers: Sequence[Sequence[Lanes]]) -> list[tuple[int, int]]:
    """Pairs of streams that have a router in common, in order: each rectangle, from the top
    down, against those after it that begin above its end."""
    lanes = sorted((one for own in routers for one in own), key=lambda one: one.rows)
    if not lanes:
        return []
    stream = np.array([one.stream for one in lanes])
    rows, columns = (
        np.array([getattr(one, side) for one in lanes]) for side in ("rows", "columns")
    )
    found = np.zeros((len(routers), len(routers)), bool)
    for at, ((_, bottom), (left, right)) in enumerate(zip(rows, columns, strict=True)):
        below = slice(at + 1, int(np.searchsorted(rows[:, 0], bottom)))
        meets = (columns[below, 0] < right) & (left < columns[below, 1])
        found[stream[at], stream[below][meets]] = True
    one, other = np.nonzero(np.triu(found | found.T, 1))
    return list(zip(one.tolist(), other.tolist(), strict=True))


def _with_ends(lanes: Lanes) -> Lanes:
    """The routers on both sides of a rectangle of links."""
    if lanes.direction in ("east", "west"):
        return lanes._replace(columns=(lanes.columns[0], lanes.columns[1] + 1))
    return lanes._replace(rows=(lanes.rows[0], lanes.rows[1] + 1))


def _outside(part: Lanes, other: Lanes) -> Iterator[Lanes]:
    """What of a rectangle another one does not cover, in rectangles."""
    top, bottom = (min(max(row, part.rows[0]), part.rows[1]) for row in other.rows)
    left, right = (min(max(c, part.columns[0]), part.columns[1]) for c in other.columns)
    if top >= bottom or left >= right:
        yield part
        return
    for rows, columns in (
        ((part.rows[0], top), part.columns),
        ((bottom, part.rows[1]), part.columns),
        ((top, bottom), (part.columns[0], left)),
        ((top, bottom), (right, part.columns[1])),
    ):
        if rows[0] < rows[1] and columns[0] < columns[1]:
            yield part._replace(rows=rows, columns=columns)
