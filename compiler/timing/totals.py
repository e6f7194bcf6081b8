"""Totals of a plan: its steady pace, the latency of a sample, work and shares of the machine."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf

from ...backend.errors import UserError
from ..plan.causes import Bound
from ..plan.document import Totals
from ..plan.stage_record import StageRecord, memory_by_region
from ..targets.target import Target
from .colours import colours_of, turns
from .cycle_ratio import Arc, maximum_cycle_ratio
from .event_graph import EventGraph, given
from .first_sample import latency_cycles
from .layout import Layout
from .pace import Pace, pace_of


def totals(
    layout: Layout, stages: Sequence[StageRecord], target: Target, wafers_least: int
) -> Totals:
    """The totals of `stages`, which lie as `layout` says.

    Raises UserError if they would wait for each other for ever.
    """
    pace = pace_of(layout)
    _check_order(layout, pace)
    used = sum(region.area for region in {stage.region for stage in stages})
    busy = sum(stage.pe_cycles for stage in stages)
    return Totals(
        initiation_interval_cycles=pace.interval_cycles,
        latency_cycles=latency_cycles(pace.graph),
        host_latency_cycles=pace.graph.wiring.host_latency_cycles,
        throughput_samples_per_s=layout.clock_hz / pace.interval_cycles,
        utilisation=busy / (used * pace.interval_cycles),
        bound_by=str(pace.bound),
        pes_used=used,
        pes_usable=target.all_pes,
        wafer_share=used / target.all_pes,
        wafers_used=1 + max(stage.region.wafer for stage in stages),
        wafers_least=wafers_least,
        macs_dense=sum(stage.macs_dense for stage in stages),
        macs_effective=sum(stage.macs_effective for stage in stages),
        max_memory_per_pe_bytes=max(memory_by_region(stages).values()),
        memory_capacity_per_pe_bytes=target.capacity_bytes,
    )


def _check_order(layout: Layout, pace: Pace) -> None:
    """Proves that no stage waits for ever, with streams that share a colour or a queue in turns: an
    order of all waits exists if no circle of them is without samples between."""
    bound = pace.bound if pace.is_stuck else _circle(layout, pace.graph)
    if bound is not None:
        raise UserError(
            layout.name,
            expected="stages that never wait for each other for ever",
            got=f"a cycle of waits through {bound.at}",
            change="deeper FIFOs",
        )


def _circle(layout: Layout, graph: EventGraph) -> Bound | None:
    """A circle of waits with turns among them; None if there is no sharing or no circle."""
    shared = tuple(turns(graph.wiring, colours_of(layout, graph.wiring)))
    if not shared:
        return None
    channels = graph.wiring.channels
    arcs = [
        Arc(
            given(channels[a].producer, channels[a].phase),
            given(channels[b].producer, channels[b].phase),
            0,
            samples,
            b,
        )
        for a, b, samples in shared
    ]
    critical = maximum_cycle_ratio(graph.events, (*graph.waits, *arcs))
    if critical.ratio is not None:
        return None
    names = dict.fromkeys(
        graph.wiring.label(channels[a.label]) for a in critical.arcs if a.label >= 0
    )
    return Bound("deadlock", f"shared colours: {', '.join(names)}", inf)
