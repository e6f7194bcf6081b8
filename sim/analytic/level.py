"""The analytic level: the steady state in closed form, at once, for any number of samples.

The interval is the maximum cycle ratio of the plan's event graph: the slowest stage, stream or
host, or a loop through FIFOs that are too shallow for their distance. Latency, fill and drain are
lower bounds from longest paths, which leave out that samples before can hold a stage up.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from ...backend.errors import UserError
from ...compiler.plan.document import PlanDocument
from ..model.report import SimReport, StageRow, Wait
from ..model.rows import Bottleneck, bottleneck, edge_rows, mean_utilisation, stage_row
from ..model.wiring import PHASES, host_cycles, wire
from .cycle_ratio import Critical, maximum_cycle_ratio
from .event_graph import OWN, EventGraph
from .first_sample import times_of


def analytic(plan: PlanDocument, samples: int) -> SimReport:
    """The report of `samples` training samples (at least 1) in closed form.

    Idle cycles are not split by reason at this level: they come as 'unattributed'.

    Raises UserError for a sample count below 1 or a plan the simulator cannot wire.
    """
    if samples < 1:
        raise UserError(
            "simulate", expected="at least 1 sample", got=str(samples), change="give --samples 1000"
        )
    graph = EventGraph(wire(plan))
    stuck = maximum_cycle_ratio(graph.events, graph.waits)
    critical = stuck if stuck.ratio is None else maximum_cycle_ratio(graph.events, graph.arcs)
    interval = math.inf if critical.ratio is None else max(float(critical.ratio), 1.0)
    bound = bottleneck(plan, graph.wiring, interval, _loop(graph, critical))
    times = times_of(graph, critical, samples)
    return SimReport(
        level="analytic",
        model=plan.model,
        target=plan.target,
        samples=samples,
        clock_hz=plan.clock_hz,
        cycles=times.cycles,
        seconds=times.cycles / plan.clock_hz,
        initiation_interval_cycles=interval,
        throughput_samples_per_s=plan.clock_hz / interval,
        steady=critical.ratio is not None,
        host_latency_cycles=graph.wiring.host_latency_cycles,
        forward_latency_cycles=times.forward_latency,
        backward_latency_cycles=times.backward_latency,
        fill_cycles=times.fill,
        drain_cycles=times.drain,
        utilisation=mean_utilisation(plan, interval),
        host_load=host_cycles(plan) / interval,
        bound_by=str(bound) if critical.ratio is not None else "deadlock",
        stages=tuple(_rows(plan, samples, times.cycles, interval, bound)),
        edges=edge_rows(plan, graph.wiring, interval),
        deadlock=() if critical.ratio is not None else _waits(graph, critical),
    )


def _rows(
    plan: PlanDocument, samples: int, cycles: int, interval: float, bound: Bottleneck
) -> Iterator[StageRow]:
    for stage in plan.stages:
        busy = samples * stage.cycles.total_cycles
        idle = {"unattributed": cycles - busy}
        yield stage_row(stage, busy, idle, interval, bound)


def _loop(graph: EventGraph, critical: Critical) -> str:
    """Names the FIFOs without room on the critical cycle; if there are none it is all latency."""
    label, channels = graph.wiring.label, graph.wiring.channels
    room = set(graph.room)
    full = dict.fromkeys(arc.label for arc in critical.arcs if arc in room)
    names = [f"{label(channels[n])} of depth {channels[n].depth}" for n in full]
    return "FIFO " + ", ".join(names) if names else "latency around a loop of stages"


def _waits(graph: EventGraph, critical: Critical) -> tuple[Wait, ...]:
    """The cycle without tokens as waits, head for tail, from each stream on it."""
    units, channels = graph.wiring.units, graph.wiring.channels
    waits = []
    for arc in critical.arcs:
        if arc.label != OWN:
            channel = channels[arc.label]
            stream = f"{graph.wiring.label(channel)}, depth {channel.depth}"
            wants = "room" if arc.tokens else "item"
            stage, on = units[arc.head // 6].name, units[arc.tail // 6].name
            waits.append(Wait(stage, PHASES[channel.phase], -1, wants, stream, on))
    return tuple(waits)
