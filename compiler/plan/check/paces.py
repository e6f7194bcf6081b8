"""What could set the pace of a plan, derived again from its records and its own constants."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import ceil, inf
from typing import NamedTuple

from ..document import HOST, EdgeRecord, PlanDocument
from .link_load import busiest, lane_count, lanes_of
from .regions.shared import groups_of, is_inside, roomy
from .schedule import BACKWARD, FORWARD, CheckedStream, Wait, waits

CONSTANTS = (
    *("noc.link_bytes_per_cycle", "noc.hop_cycles", "noc.ramp_cycles"),
    *("host.bytes_per_s", "host.latency_s"),
)
CHAIN = ("wafer_link.bytes_per_s", "wafer_link.latency_s")
_ZERO = ("noc.hop_cycles", "noc.ramp_cycles", "host.latency_s", "wafer_link.latency_s")
"""Constants that may be nothing."""
_KINDS = {FORWARD: "activations", BACKWARD: "gradients"}


class CheckedTiming(NamedTuple):
    """`slowest` is the most cycles per sample that a stage, a link or the host needs, `names` what
    does, `waits` all that stages and `streams` wait for."""

    slowest: int
    names: list[str]
    streams: tuple[CheckedStream, ...]
    waits: tuple[Wait, ...]
    host_latency: int


def timing_of(plan: PlanDocument) -> CheckedTiming | None:
    """None of a plan whose constants or edges other rules find fault with."""
    constants = _constants(plan)
    if constants is None or not _is_sound(plan):
        return None
    streams = [*_streams(plan, constants)]
    host = [*_host_paces(plan, constants)]
    paces = [
        *_stage_paces(plan),
        *_link_paces(plan, streams, constants),
        *host,
    ]
    slowest = max(cycles for cycles, _ in paces)
    fed = any(edge.source == HOST for edge in plan.edges)
    return CheckedTiming(
        slowest,
        [name for cycles, name in paces if cycles == slowest],
        tuple(streams),
        waits(plan, streams, max(cycles for cycles, _ in host)),
        ceil(constants["host.latency_s"] * plan.clock_hz) if fed else 0,
    )


def _stage_paces(plan: PlanDocument) -> Iterator[tuple[int, str]]:
    for stage in plan.stages:
        cycles = stage.cycles
        forward, after = cycles.forward_cycles, cycles.backward_cycles + cycles.update_cycles
        is_apart = len(stage.uses) > 1
        total = max(forward, after) if is_apart else forward + after
        yield total, f"{stage.bound_by}: {stage.id}"
    for group in groups_of(plan):
        if len(group) == 1:
            continue
        own = [plan.stages[number] for number in group]
        totals = [sum(use.cycles for use in stage.uses) for stage in own]
        cause = own[totals.index(max(totals))].bound_by
        yield sum(totals), f"{cause}: {' + '.join(stage.id for stage in own)}"


def _link_paces(
    plan: PlanDocument, streams: Sequence[CheckedStream], constants: dict[str, float]
) -> Iterator[tuple[int, str]]:
    """Streams over the most loaded mesh link, and those over the most loaded link of wafers."""
    names = [_label(plan, stream) for stream in streams]
    work = [_mesh_cycles(plan, stream.edge, stream.phase, constants) for stream in streams]
    pieces = [
        lanes
        for number, stream in enumerate(streams)
        if work[number]
        for lanes in lanes_of(plan, number, _route(stream), _lanes(plan, stream.edge))
    ]
    load, users = busiest(pieces, work)
    yield from ((load, f"link: {names[number]}") for number in users)
    loads = _wafer_loads(plan)
    for name, (edge, phase, *_) in zip(names, streams, strict=True):
        passed = _passed(edge, plan)
        if passed and _bytes(edge, phase):
            load = max(
                load
                for (link, way), load in loads.items()
                if link in passed and way == _way(plan, edge, phase)
            )
            yield _wafer_cycles(load, plan, constants), f"wafer-link: {name}"


def _streams(plan: PlanDocument, constants: dict[str, float]) -> Iterator[CheckedStream]:
    for phase in (FORWARD, BACKWARD):
        for number, edge in enumerate(plan.edges):
            if phase == BACKWARD and (edge.source == HOST or not edge.backward_bytes):
                continue
            source = ("host", number) if edge.source == HOST else edge.source
            ends = (source, edge.sink) if phase == FORWARD else (edge.sink, source)
            size, passed = _bytes(edge, phase), _passed(edge, plan)
            if is_inside(plan, edge):
                yield CheckedStream(roomy(edge), phase, *ends, 0, 0)
                continue
            work = _mesh_cycles(plan, edge, phase, constants)
            if passed and size:
                work = max(work, _wafer_cycles(size, plan, constants))
            flight = ceil(_flight(edge, passed, plan, constants)) if size else 0
            under_way = _between_wafers(edge, passed, phase, plan, constants) if size else 0
            deeper = replace(edge, depth=edge.depth + under_way)
            yield CheckedStream(deeper, phase, *ends, work, flight)


def _between_wafers(
    edge: EdgeRecord, passed: range, phase: str, plan: PlanDocument, constants: dict[str, float]
) -> int:
    """Samples that links between wafers hold: their latency in shares of the busiest of them."""
    if not passed:
        return 0
    loads = _wafer_loads(plan)
    busiest = max(loads[link, _way(plan, edge, phase)] for link in passed)
    latency = len(passed) * constants["wafer_link.latency_s"] * plan.clock_hz
    return ceil(latency / _wafer_cycles(busiest, plan, constants))


def _flight(
    edge: EdgeRecord, passed: range, plan: PlanDocument, constants: dict[str, float]
) -> float:
    """The way of a stream's last word: ramps, hops, links between wafers."""
    way = edge.hops * constants["noc.hop_cycles"] + 2 * constants["noc.ramp_cycles"]
    if passed:
        way += len(passed) * constants["wafer_link.latency_s"] * plan.clock_hz
    return way


def _mesh_cycles(
    plan: PlanDocument, edge: EdgeRecord, phase: str, constants: dict[str, float]
) -> int:
    """Cycles that a sample takes of the stream's own links."""
    if is_inside(plan, edge):
        return 0
    width = _lanes(plan, edge) * constants["noc.link_bytes_per_cycle"]
    return ceil(_bytes(edge, phase) / width)


def _lanes(plan: PlanDocument, edge: EdgeRecord) -> int:
    return lane_count([plan.stages[i].part for i in (edge.source, edge.sink) if i != HOST])


def _route(stream: CheckedStream) -> Sequence[tuple[int, int]]:
    return stream.edge.route if stream.phase == FORWARD else stream.edge.route[::-1]


def _bytes(edge: EdgeRecord, phase: str) -> int:
    return edge.forward_bytes if phase == FORWARD else edge.backward_bytes


def _label(plan: PlanDocument, stream: CheckedStream) -> str:
    names = (
        plan.stages[end].id if isinstance(end, int) else "host"
        for end in (stream.source, stream.sink)
    )
    return f"{' -> '.join(names)} ({_KINDS[stream.phase]})"


def _passed(edge: EdgeRecord, plan: PlanDocument) -> range:
    """Numbers of the links between wafers on the way from source to sink."""
    if edge.source == HOST:
        return range(0)
    ends = plan.stages[edge.source].region.wafer, plan.stages[edge.sink].region.wafer
    return range(min(ends), max(ends))


def _way(plan: PlanDocument, edge: EdgeRecord, phase: str) -> str:
    """Whether a stream goes onwards over the wafers, like activations mostly, or back."""
    is_back = plan.stages[edge.source].region.wafer > plan.stages[edge.sink].region.wafer
    return (BACKWARD if phase == FORWARD else FORWARD) if is_back else phase


def _wafer_loads(plan: PlanDocument) -> Counter[tuple[int, str]]:
    """Bytes per sample over links between wafers, by direction, where they change: at wafers with
    a stage."""
    loads: Counter[tuple[int, str]] = Counter()
    for link in {stage.region.wafer for stage in plan.stages}:
        for edge in plan.edges:
            if link in _passed(edge, plan):
                loads[link, _way(plan, edge, FORWARD)] += edge.forward_bytes
                loads[link, _way(plan, edge, BACKWARD)] += edge.backward_bytes
    return loads


def _wafer_cycles(size_bytes: int, plan: PlanDocument, constants: dict[str, float]) -> int:
    return ceil(size_bytes * plan.clock_hz / constants["wafer_link.bytes_per_s"])


def _host_paces(plan: PlanDocument, constants: dict[str, float]) -> Iterator[tuple[int, str]]:
    """Inputs, and FIFOs that lie with the host: over its link, out of a region, back in time."""
    inputs = sum(edge.forward_bytes for edge in plan.edges if edge.source == HOST)
    away = [stage for stage in plan.stages if stage.off_wafer_bytes > 0]
    size = inputs + sum(stage.off_wafer_bytes for stage in away)
    cycles = plan.clock_hz / constants["host.bytes_per_s"]
    name = "activations off the wafer" if away else "input bandwidth"
    yield ceil(size * cycles), f"host: {name}"
    for stage in away:
        lanes = max(stage.part.height, stage.part.width)
        bytes_per_cycle = lanes * constants["noc.link_bytes_per_cycle"]
        side = ceil(stage.off_wafer_bytes / bytes_per_cycle)
        yield side, f"host: activations of {stage.id}, side of the region"
        ticks = max(1, stage.delay - 3)
        there_and_back = 2 * constants["host.latency_s"] * plan.clock_hz
        yield ceil(there_and_back / ticks), f"host: activations of {stage.id}, back in time"


def _constants(plan: PlanDocument) -> dict[str, float] | None:
    """The constants needed here; None where one or the clock is missing or no positive number,
    which are other rules' findings."""
    found = {c.name: c.value for c in plan.provenance if c.name in (*CONSTANTS, *CHAIN)}
    numbers = {
        name: float(value)
        for name, value in found.items()
        if isinstance(value, int | float) and (0 < value < inf or (name in _ZERO and value == 0))
    }
    needed = {*CONSTANTS, *(CHAIN if plan.wafers > 1 else ())}
    is_complete = needed <= numbers.keys() and 0 < plan.clock_hz < inf
    return numbers if is_complete else None


def _is_sound(plan: PlanDocument) -> bool:
    last = len(plan.stages)
    return last > 0 < min(plan.grid) and all(
        HOST <= edge.source < edge.sink < last
        and edge.depth > 0
        and 0 < edge.window <= edge.parts
        and 0 < edge.gradient_window <= edge.parts
        for edge in plan.edges
    )
