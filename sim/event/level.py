"""The event level: every stage, every sample, finite FIFOs, links and host, cycle by cycle.

Each stage does forward(i), backward(i - delay), update(i - delay) in that order. A phase begins
when the first rows of its inputs are there and is done when the last ones have been worked on; its
rows leave evenly while it works. Streams share mesh links max-min fairly (link_shares.py). What is
computed, and in which order a stage does it, is that of the tick: only time overlaps.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from ...backend.errors import UserError
from ...compiler.plan.causes import Bound
from ...compiler.plan.document import PlanDocument
from ...compiler.plan.evidence import figures_of
from ...compiler.timing.host import host_cycles
from ...compiler.timing.layout import Layout
from ...compiler.timing.pace import Pace, pace_of
from ...compiler.timing.wiring import Wiring
from ..model.report import SimReport, WaitLink
from ..model.rows import edge_rows, mean_utilisation, stage_rows
from ..model.state import (
    FIRST_BACKWARD_START,
    FIRST_FORWARD_END,
    FIRST_UPDATE_END,
    LAST_FORWARD_END,
    REASONS,
    STEADY_FROM,
    STEADY_TO,
    State,
    Tables,
    start,
    tables,
)
from . import steady
from .deadlock import cycle_of_waits

_AT_PACE = 1e-3
"""A run is steady if what it measures is this close to the pace in closed form."""


@dataclass(frozen=True)
class EngineRun:
    """A finished (or stuck) run of the engine."""

    pace: Pace
    table: Tables
    state: State
    samples: int
    deadlock: tuple[WaitLink, ...]

    @property
    def wiring(self) -> Wiring:
        return self.pace.graph.wiring

    @property
    def cycles(self) -> int:
        return int(max(self.state.time.max(), self.state.other.max()))

    def mark(self, unit: int, which: int) -> int:
        """A milestone of a unit in cycles; the end of the run if it was never reached."""
        at = int(self.state.marks[unit, which])
        return at if at >= 0 else self.cycles

    def spent(self, unit: int) -> tuple[int, dict[str, int]]:
        """Cycles at work, and idle ones by reason; of a unit that is apart in the mean over both of
        its parts."""
        idle = dict(zip(REASONS, map(int, self.state.idle[unit]), strict=True))
        is_apart = self.wiring.units[unit].apart
        ends = (self.state.time, self.state.other) if is_apart else (self.state.time,)
        idle["drain"] += sum(self.cycles - int(end[unit]) for end in ends)
        busy = int(self.state.busy[unit].sum())
        return _mean_of_two(busy, idle) if is_apart else (busy, idle)


def _mean_of_two(busy: int, idle: dict[str, int]) -> tuple[int, dict[str, int]]:
    """Half of each, in whole cycles; what rounding leaves over counts as `turn`."""
    halves = {reason: cycles // 2 for reason, cycles in idle.items()}
    total = (busy + sum(idle.values())) // 2
    halves["turn"] += total - busy // 2 - sum(halves.values())
    return busy // 2, halves


def event(plan: PlanDocument, samples: int) -> SimReport:
    """Simulate `samples` training samples (at least 1) from an empty pipeline until it is drained.

    Raises UserError for a sample count below 1 or a plan the simulator cannot wire.
    """
    run = play(plan, samples, (0, 0))
    interval, steady = _interval(run)
    stages = range(run.wiring.stages)
    last = stages[-1]
    return SimReport(
        level="event",
        model=plan.model,
        target=plan.target,
        samples=samples,
        clock_hz=plan.clock_hz,
        cycles=run.cycles,
        seconds=run.cycles / plan.clock_hz,
        initiation_interval_cycles=interval,
        throughput_samples_per_s=plan.clock_hz / interval,
        steady=steady,
        host_latency_cycles=run.wiring.host_latency_cycles,
        forward_latency_cycles=run.mark(last, FIRST_FORWARD_END),
        backward_latency_cycles=max(run.mark(s, FIRST_UPDATE_END) for s in stages),
        fill_cycles=run.mark(0, FIRST_BACKWARD_START),
        drain_cycles=run.cycles - run.mark(0, LAST_FORWARD_END),
        utilisation=mean_utilisation(plan, interval),
        host_load=host_cycles(Layout.of(plan)) / interval,
        bound_by=_bound(run, steady),
        stages=stage_rows(plan, samples, map(run.spent, stages), interval),
        edges=edge_rows(plan, run.wiring, interval),
        deadlock=run.deadlock,
        figures=figures_of(plan),
    )


def play(plan: PlanDocument, samples: int, window: tuple[int, int]) -> EngineRun:
    """Run `samples` samples and record the `window` = (first sample, samples); (0, 0) for nothing.

    Raises UserError for a sample count below 1 or a plan the simulator cannot wire.
    """
    if samples < 1:
        raise UserError(
            "simulate", expected="at least 1 sample", got=str(samples), change="give --samples 1000"
        )
    pace = pace_of(Layout.of(plan))
    wiring = pace.graph.wiring
    table = tables(wiring, samples, pace.period)
    state = start(table, window)
    done = steady.run(table, state, samples, window)
    waits = () if done else cycle_of_waits(wiring, table, state, samples)
    return EngineRun(pace, table, state, samples, waits)


def _interval(run: EngineRun) -> tuple[float, bool]:
    """Cycles between samples, and whether that is the steady state: as in closed form.

    Measured on every unit over the later half of the ticks in which the pipeline is full, and over
    whole periods of the steady state; the slowest counts, since the others may still be filling
    their FIFOs. A run that never comes to the plan's pace has the mean of all its samples.
    """
    if run.deadlock:
        return math.inf, False
    table, marks = run.table, run.state.marks
    ticks = (table.full_to - table.steady_from)[: run.wiring.stages]
    if (ticks > 0).all():
        spans = marks[:, STEADY_TO] - marks[:, STEADY_FROM]
        measured = max(float((spans[: run.wiring.stages] / ticks).max()), 1.0)
        if abs(measured / run.pace.interval_cycles - 1) <= _AT_PACE:
            return measured, True
    return max(run.cycles, 1) / run.samples, False


def _bound(run: EngineRun, steady: bool) -> str:
    if run.deadlock:
        return "deadlock"
    if steady:
        return str(run.pace.bound)
    pace = f"the plan's pace is a sample every {run.pace.interval_cycles:,.0f} cycles"
    return str(Bound("fill", f"{pace}, reached with more than {run.samples:,}", 0))
