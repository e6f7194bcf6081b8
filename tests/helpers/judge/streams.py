"""The streams of a plan, link by link and router by router, from the plan's records.

Nothing of weft is used here: a plan and a machine are plain data, as their files hold them. A
stream is one direction of an edge: activations, or what flows back. It is as many links wide as the
longer side of its smaller end, around its route, and stays on the wafer.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from math import ceil

from .places import Data, constants, rectangle_of

FORWARD, BACKWARD = 0, 1
Router = tuple[int, int]
"""Row and column; columns of wafer w count on from w times a wafer's."""
Link = tuple[Router, Router]


@dataclass(frozen=True)
class JudgedStream:
    """One direction of an edge: bytes of a sample, links side by side, every link and router of it,
    and the links between wafers that it passes, with the direction."""

    edge: int
    phase: int
    bytes: int
    width: int
    links: frozenset[Link]
    routers: frozenset[Router]
    between: frozenset[tuple[int, int]]

    @property
    def key(self) -> tuple[int, int]:
        return self.edge, self.phase


def streams_of(plan: Data) -> tuple[JudgedStream, ...]:
    """All streams that carry something, and all of activations."""
    found = []
    for number, edge in enumerate(plan["edges"]):
        back = edge["gradient_bytes"] + edge["rebuilt_bytes"]
        found.append(_stream(plan, number, FORWARD, edge["forward_bytes"]))
        if back and edge["source"] >= 0:
            found.append(_stream(plan, number, BACKWARD, back))
    return tuple(found)


def _stream(plan: Data, number: int, phase: int, size: int) -> JudgedStream:
    edge = plan["edges"][number]
    width = width_of(plan, edge)
    corners = [tuple(corner) for corner in edge["route"]]
    corners = corners if phase == FORWARD else corners[::-1]
    links, routers = set[Link](), set[Router]()
    for start, end in pairwise(corners):
        for lane in _lanes(plan, start, end, width):
            routers |= set(lane)
            links |= set(pairwise(lane))
    between = {(w, phase ^ (step < 0)) for w, step in _seams(plan, edge)}
    return JudgedStream(
        number, phase, size, width, frozenset(links), frozenset(routers), frozenset(between)
    )


def width_of(plan: Data, edge: Data) -> int:
    """Links of a stream side by side: the longer side of its smaller end; the host is as wide as
    need be."""
    ends = [rectangle_of(plan, edge[end]) for end in ("source", "sink") if edge[end] >= 0]
    return min(max(place["height"], place["width"]) for place in ends)


def _lanes(plan: Data, start: Router, end: Router, width: int) -> Iterator[list[Router]]:
    """The routers of each lane of a straight piece, in order."""
    rows, columns = plan["grid"]
    wafer = min(start[1] // columns, plan["wafers"] - 1)
    along, step = (1, start[1] <= end[1]) if start[0] == end[0] else (0, start[0] <= end[0])
    low, most = (0, rows) if along else (wafer * columns, columns)
    width = min(width, most)
    first = start[1 - along] - width // 2
    first = min(max(first, low), low + most - width)
    places = range(start[along], end[along] + (1 if step else -1), 1 if step else -1)
    for lane in range(first, first + width):
        yield [(lane, at) if along else (at, lane) for at in places]


def _seams(plan: Data, edge: Data) -> Iterator[tuple[int, int]]:
    """Links between wafers that an edge passes, and whether onwards (1) or back (-1)."""
    if edge["source"] < 0:
        return
    source, sink = (rectangle_of(plan, edge[end])["wafer"] for end in ("source", "sink"))
    for wafer in range(min(source, sink), max(source, sink)):
        yield wafer, 1 if source < sink else -1


def route_faults(plan: Data) -> Iterator[str]:
    """Routes that are no shortest walk from router to router, from the source's region (for the
    host, its wafer's first column) into the sink's."""
    rows, columns = plan["grid"]
    for edge in plan["edges"]:
        name = f"edge {edge['source']} -> {edge['sink']}"
        route = [tuple(corner) for corner in edge["route"]]
        walk = [route[0]]
        for row, column in route:
            while walk[-1] != (row, column):
                at_row, at_column = walk[-1]
                if row != at_row and column != at_column:
                    yield f"{name}: {route} is not along rows and columns"
                    return
                walk.append((at_row + _sign(row - at_row), at_column + _sign(column - at_column)))
        if len(set(walk)) != len(walk) or len(walk) - 1 != edge["hops"]:
            yield f"{name}: {len(walk) - 1} steps, {edge['hops']} hops"
        if edge["hops"] != abs(walk[0][0] - walk[-1][0]) + abs(walk[0][1] - walk[-1][1]):
            yield f"{name}: a way round, {route}"
        if any(not (0 <= r < rows and 0 <= c < columns * plan["wafers"]) for r, c in walk):
            yield f"{name}: off the machine"
        if walk[-1] not in _tiles(plan, edge["sink"]):
            yield f"{name}: does not end in its sink's region"
        if edge["source"] >= 0 and walk[0] not in _tiles(plan, edge["source"]):
            yield f"{name}: does not begin in its source's region"
        if edge["source"] < 0 and walk[0][1] != columns * rectangle_of(plan, edge["sink"])["wafer"]:
            yield f"{name}: does not begin at its wafer's edge"


def _tiles(plan: Data, stage: int) -> set[Router]:
    place, columns = rectangle_of(plan, stage), plan["grid"][1]
    return {
        (row, place["wafer"] * columns + column)
        for row in range(place["row"], place["row"] + place["height"])
        for column in range(place["column"], place["column"] + place["width"])
    }


def _sign(number: int) -> int:
    return (number > 0) - (number < 0)


def is_inside(plan: Data, edge: Data) -> bool:
    """Whether an edge joins two stages of one region: nothing of it crosses a link."""
    places = [rectangle_of(plan, edge[end]) for end in ("source", "sink") if edge[end] >= 0]
    return len(places) == 2 and places[0] == places[1]


def works_of(plan: Data, machine: Data) -> dict[tuple[int, int], int]:
    """Cycles in which each stream's links carry one sample of it."""
    rate = constants(machine)["noc.link_bytes_per_cycle"]
    return {
        stream.key: 0
        if is_inside(plan, plan["edges"][stream.edge])
        else -(-stream.bytes // (stream.width * rate))
        for stream in streams_of(plan)
    }


def occupancies(plan: Data, machine: Data) -> dict[tuple[int, int], int]:
    """Cycles from one sample of each stream to its next one, if all send as often as they can and
    none could send more often without another with as few sending less: all rates grow alike, and
    those of the streams over a link stop when it is full. Between wafers a stream sends as often as
    all that pass there can."""
    works, known = works_of(plan, machine), constants(machine)
    users: dict[Link, set[tuple[int, int]]] = defaultdict(set)
    passing: dict[tuple[int, int], int] = defaultdict(int)
    every = streams_of(plan)
    for stream in every:
        for link in stream.links if works[stream.key] else ():
            users[link].add(stream.key)
        for seam in stream.between:
            passing[seam] += stream.bytes
    rates = _filled(works, users)
    found = {}
    for stream in every:
        cycles = ceil(round(1 / rates[stream.key], 6)) if works[stream.key] else 0
        busiest = max((passing[seam] for seam in stream.between), default=0)
        if busiest and stream.bytes:
            rate = Fraction(known["wafer_link.bytes_per_s"]) / Fraction(known["clock_hz"])
            cycles = max(cycles, ceil(busiest / rate))
        found[stream.key] = cycles
    return found


def _filled(
    works: Mapping[tuple[int, int], int], users: Mapping[Link, set[tuple[int, int]]]
) -> dict[tuple[int, int], Fraction]:
    """Samples per cycle of each stream that works."""
    open_ = {key for key, work in works.items() if work}
    groups = {frozenset(own) for own in users.values()} | {frozenset((key,)) for key in open_}
    rates: dict[tuple[int, int], Fraction] = {}
    while open_:
        levels = {}
        for group in groups:
            active = sum(works[key] for key in group if key in open_)
            if active:
                used = sum(works[key] * rates[key] for key in group if key in rates)
                levels[group] = (1 - used) / active
        lowest = min(levels.values())
        full = {key for group, level in levels.items() if level == lowest for key in group}
        rates |= dict.fromkeys(full & open_, lowest)
        open_ -= full
    return rates


def least_interval(plan: Data, machine: Data) -> Fraction:
    """Cycles between two samples that the slowest of the regions, links, ways between wafers and
    the host's way in need."""
    works, known, every = works_of(plan, machine), constants(machine), streams_of(plan)
    load: dict[object, Fraction] = defaultdict(Fraction)
    clock = Fraction(known["clock_hz"])
    for stage in plan["stages"]:
        for use in stage["uses"]:
            load[use["region"]["id"]] += sum(stage["cycles"].values())
    for stream in every:
        for link in stream.links:
            load[link] += works[stream.key]
        for seam in stream.between:
            load[seam] += stream.bytes * clock / Fraction(known["wafer_link.bytes_per_s"])
    return max(*load.values(), *_host_periods(plan, known))


def _host_periods(plan: Data, known: Data) -> Iterator[Fraction]:
    """Cycles between two samples that the host needs: for the inputs and what stages keep with it,
    for the latter through a side of each region, and for two transactions between a sample's way
    out and its way back."""
    clock = Fraction(known["clock_hz"])
    fed = sum(edge["forward_bytes"] for edge in plan["edges"] if edge["source"] < 0)
    away = [number for number, stage in enumerate(plan["stages"]) if stage["off_wafer_bytes"]]
    fed += sum(plan["stages"][number]["off_wafer_bytes"] for number in away)
    yield fed * clock / Fraction(known["host.bytes_per_s"])
    for number in away:
        place, stage = rectangle_of(plan, number), plan["stages"][number]
        side = max(place["height"], place["width"]) * known["noc.link_bytes_per_cycle"]
        yield Fraction(stage["off_wafer_bytes"], side)
        yield 2 * Fraction(known["host.latency_s"]) * clock / (stage["delay"] - 3)


def flights(plan: Data, machine: Data) -> dict[tuple[int, int], int]:
    """Cycles from when the last byte of a stream leaves until it is there: hops, a ramp at both
    ends, and the way between wafers."""
    known = constants(machine)
    found = {}
    for stream in streams_of(plan):
        edge = plan["edges"][stream.edge]
        cycles = edge["hops"] * known["noc.hop_cycles"] + 2 * known["noc.ramp_cycles"]
        if stream.between:
            cycles += len(stream.between) * known["wafer_link.latency_s"] * known["clock_hz"]
        silent = is_inside(plan, edge) or not stream.bytes
        found[stream.key] = 0 if silent else ceil(cycles)
    return found


def latency(plan: Data, machine: Data) -> Fraction:
    """Cycles from when the host is asked for a sample until its loss is known, part by part: the
    rows of a stage leave evenly while it works, one after the other over the stream's links, and a
    stage begins with as many as it needs and works on the last row when it has come."""
    known, works, far = constants(machine), works_of(plan, machine), flights(plan, machine)
    period = max(map(ceil, _host_periods(plan, known)))
    start = Fraction(ceil(known["host.latency_s"] * known["clock_hz"]))
    runs: dict[int, tuple[Fraction, Fraction, int]] = {-1: (start, start + period, period)}
    for number, stage in enumerate(plan["stages"]):
        own = stage["cycles"]["forward_cycles"]
        begins, ends = Fraction(0), Fraction(0)
        for at, edge in enumerate(plan["edges"]):
            if edge["sink"] == number:
                work, parts = _work_alone(plan, machine, at, works), edge["parts"]
                inside = is_inside(plan, edge)
                parts, window = (1, 1) if inside else (parts, edge["window"])
                came = _came(runs[edge["source"]], parts, work, far[at, FORWARD])
                begins = max(begins, came[window - 1])
                ends = max(ends, came[-1] + Fraction(own, parts))
        runs[number] = begins, max(ends, begins + own), own
    return runs[len(plan["stages"]) - 1][1]


def _work_alone(plan: Data, machine: Data, at: int, works: Mapping[tuple[int, int], int]) -> int:
    """Cycles that a sample's activations take on the slowest of the links that an edge passes."""
    known, edge = constants(machine), plan["edges"][at]
    if not list(_seams(plan, edge)):
        return works[at, FORWARD]
    clock, rate = Fraction(known["clock_hz"]), Fraction(known["wafer_link.bytes_per_s"])
    return max(works[at, FORWARD], ceil(edge["forward_bytes"] * clock / rate))


def _came(
    run: tuple[Fraction, Fraction, int], parts: int, work: int, flight: int
) -> Sequence[Fraction]:
    """When each part of an item is there; the producer begins, is done, and works so long."""
    began, done, cycles = run
    free, found = Fraction(0), []
    for part in range(1, parts + 1):
        ready = done if part == parts else began + Fraction(cycles * part, parts)
        free = max(free, ready) + Fraction(work, parts)
        found.append(free + flight)
    return found
