"""The analytic level: the steady state in closed form, at once, for any number of samples.

Interval and bound are those of the plan's totals (compiler/timing/pace.py). Latency, fill and drain
are lower bounds from longest paths, which leave out that samples before can hold a stage up.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..backend.errors import UserError
from ..compiler.plan.document import PlanDocument
from ..compiler.plan.evidence import figures_of
from ..compiler.timing.cycle_ratio import Critical
from ..compiler.timing.event_graph import OWN, EventGraph
from ..compiler.timing.first_sample import times_of
from ..compiler.timing.host import host_cycles
from ..compiler.timing.layout import Layout
from ..compiler.timing.pace import pace_of
from ..compiler.timing.wiring import PHASES
from .model.report import SimReport, WaitLink
from .model.rows import edge_rows, mean_utilisation, stage_rows


def analytic(plan: PlanDocument, samples: int) -> SimReport:
    """The report of `samples` training samples (at least 1) in closed form.

    Idle cycles are not split by reason at this level: they come as 'unattributed'.

    Raises UserError for a sample count below 1 or a plan the simulator cannot wire.
    """
    if samples < 1:
        raise UserError(
            "simulate", expected="at least 1 sample", got=str(samples), change="give --samples 1000"
        )
    layout = Layout.of(plan)
    pace = pace_of(layout)
    graph, interval = pace.graph, pace.interval_cycles
    times = times_of(graph, pace.critical, samples)
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
        steady=not pace.is_stuck,
        host_latency_cycles=graph.wiring.host_latency_cycles,
        forward_latency_cycles=times.forward_latency,
        backward_latency_cycles=times.backward_latency,
        fill_cycles=times.fill,
        drain_cycles=times.drain,
        utilisation=mean_utilisation(plan, interval),
        host_load=host_cycles(layout) / interval,
        bound_by="deadlock" if pace.is_stuck else str(pace.bound),
        stages=stage_rows(plan, samples, _spent(plan, samples, times.cycles), interval),
        edges=edge_rows(plan, graph.wiring, interval),
        deadlock=_waits(graph, pace.critical) if pace.is_stuck else (),
        figures=figures_of(plan),
    )


def _spent(plan: PlanDocument, samples: int, cycles: int) -> Iterator[tuple[int, dict[str, int]]]:
    """Cycles at work and idle of each stage."""
    for stage in plan.stages:
        busy = samples * stage.pe_cycles // stage.region.area
        yield busy, {"unattributed": cycles - busy}


def _waits(graph: EventGraph, critical: Critical) -> tuple[WaitLink, ...]:
    """The cycle without tokens as waits, head for tail, from each stream on it."""
    units, channels = graph.wiring.units, graph.wiring.channels
    waits = []
    for arc in critical.arcs:
        if arc.label != OWN:
            channel = channels[arc.label]
            stream = f"{graph.wiring.label(channel)}, depth {channel.depth}"
            wants = "room" if arc.tokens else "item"
            stage, on = units[arc.head // 6].name, units[arc.tail // 6].name
            waits.append(WaitLink(stage, PHASES[channel.phase], -1, wants, stream, on))
    return tuple(waits)
