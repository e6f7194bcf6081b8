"""Totals of a plan in closed form: no contention, every stage busy at its own pace.

Stages work side by side, so the slowest of them, or the most loaded stream, sets the initiation
interval. The latency is the time of one sample alone: through all forwards to the loss.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from ..targets.target import Target
from .document import HOST, EdgeRecord, Totals
from .stage_record import StageRecord
from .streams import parallel_links, wafer_link_bytes, wafers_between


def totals(
    stages: Sequence[StageRecord], edges: Sequence[EdgeRecord], target: Target, wafers_least: int
) -> Totals:
    """Initiation interval and latency in cycles per sample, throughput, shares of the machine."""
    limits = {
        "stage": max(stage.cycles.total_cycles for stage in stages),
        "link": max((_link_cycles(edge, stages, target) for edge in edges), default=0),
        "wafer-link": max(_wafer_link_cycles(edges, stages, target).values(), default=0),
        "host": _host_cycles(edges, target),
    }
    bound, interval = max(limits.items(), key=lambda item: item[1])
    used = sum(stage.region.area for stage in stages)
    busy = sum(stage.region.area * stage.cycles.total_cycles for stage in stages)
    return Totals(
        initiation_interval_cycles=interval,
        latency_cycles=_latency(stages, edges, target),
        throughput_samples_per_s=target.clock_hz / interval,
        utilisation=busy / (used * interval),
        bound_by=bound,
        pes_used=used,
        pes_usable=target.all_pes,
        wafer_share=used / target.all_pes,
        wafers_used=1 + max(stage.region.wafer for stage in stages),
        wafers_least=wafers_least,
        macs_dense=sum(stage.macs_dense for stage in stages),
        macs_effective=sum(stage.macs_effective for stage in stages),
        max_memory_per_pe_bytes=max(stage.memory_per_pe.total_bytes for stage in stages),
        memory_capacity_per_pe_bytes=target.capacity_bytes,
    )


def _link_cycles(edge: EdgeRecord, stages: Sequence[StageRecord], target: Target) -> int:
    """Cycles one sample keeps the edge's links busy; links carry both directions at once."""
    if edge.source == HOST:
        return 0
    return _stream_cycles(max(edge.forward_bytes, edge.gradient_bytes), edge, stages, target)


def _stream_cycles(
    size_bytes: int, edge: EdgeRecord, stages: Sequence[StageRecord], target: Target
) -> int:
    ends = [stages[index].region for index in (edge.source, edge.sink) if index != HOST]
    return math.ceil(size_bytes / (parallel_links(ends) * target.noc.link_bytes_per_cycle))


def _host_cycles(edges: Sequence[EdgeRecord], target: Target) -> int:
    """All of a sample's inputs share the machine's way in."""
    arriving = sum(edge.forward_bytes for edge in edges if edge.source == HOST)
    return math.ceil(arriving / target.host_bytes_per_cycle)


def _latency(stages: Sequence[StageRecord], edges: Sequence[EdgeRecord], target: Target) -> int:
    """Longest path of forwards and transfers from the host to the loss."""
    links = _wafer_link_cycles(edges, stages, target)
    done: dict[int, int] = {HOST: _host_cycles(edges, target)}
    into: dict[int, list[EdgeRecord]] = {}
    for edge in edges:
        into.setdefault(edge.sink, []).append(edge)
    for stage in stages:
        arrivals = [
            done[edge.source] + _transfer(edge, stages, target, links)
            for edge in into.get(stage.index, ())
        ]
        done[stage.index] = max(arrivals, default=0) + stage.cycles.forward_cycles
    return done[stages[-1].index]


def _transfer(
    edge: EdgeRecord, stages: Sequence[StageRecord], target: Target, links: Mapping[int, int]
) -> int:
    """A stream to another wafer shares the links between them with all that pass there."""
    crossed = wafers_between(edge, stages)
    flight = edge.hops * target.noc.hop_cycles + 2 * target.noc.ramp_cycles
    if crossed and target.wafer_link:
        flight += len(crossed) * target.wafer_link.latency_s * target.clock_hz
    stream = _stream_cycles(edge.forward_bytes, edge, stages, target)
    return max(stream, *(links[link] for link in crossed), 0) + math.ceil(flight)


def _wafer_link_cycles(
    edges: Sequence[EdgeRecord], stages: Sequence[StageRecord], target: Target
) -> dict[int, int]:
    """Cycles one sample keeps each link between wafers busy; it carries both directions at once."""
    return {
        link: math.ceil(max(sizes) / target.wafer_link_bytes_per_cycle)
        for link, sizes in wafer_link_bytes(edges, stages).items()
    }
