"""The event level: every stage, every sample, finite FIFOs, links and host, cycle by cycle.

Each stage does forward(i), backward(i - delay), update(i - delay) in that order. A phase begins
when the first rows of its inputs are there and is done when the last ones have been worked on; its
rows leave evenly while it works. Streams share mesh links max-min fairly (see links.py). What is
computed, and in which order a stage does it, is that of the tick: only time overlaps.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from ...backend.errors import UserError
from ...compiler.plan.document import PlanDocument
from ..model.report import SimReport, StageRow, Wait
from ..model.rows import Bottleneck, bottleneck, edge_rows, mean_utilisation, stage_row, too_short
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
from ..model.wiring import Wiring, host_cycles, wire
from . import steady
from .deadlock import cycle_of_waits


@dataclass(frozen=True)
class Run:
    """A finished (or stuck) run of the engine."""

    wiring: Wiring
    table: Tables
    state: State
    samples: int
    deadlock: tuple[Wait, ...]

    @property
    def cycles(self) -> int:
        return int(self.state.time.max())

    def mark(self, unit: int, which: int) -> int:
        """A milestone of a unit in cycles; the end of the run if it was never reached."""
        at = int(self.state.marks[unit, which])
        return at if at >= 0 else self.cycles


def event(plan: PlanDocument, samples: int) -> SimReport:
    """Simulate `samples` training samples (at least 1) from an empty pipeline until it is drained.

    Raises UserError for a sample count below 1 or a plan the simulator cannot wire.
    """
    run = play(plan, samples, (0, 0))
    interval, steady = _interval(run)
    stages = range(run.wiring.stages)
    loop = "FIFO depths or latency around a loop of stages"
    bound = bottleneck(plan, run.wiring, interval, loop)
    if not (steady or run.deadlock):
        bound = too_short(_least_samples(run))
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
        host_load=host_cycles(plan) / interval,
        bound_by="deadlock" if run.deadlock else str(bound),
        stages=tuple(_row(plan, run, index, interval, bound) for index in stages),
        edges=edge_rows(plan, run.wiring, interval),
        deadlock=run.deadlock,
    )


def play(plan: PlanDocument, samples: int, window: tuple[int, int]) -> Run:
    """Run `samples` samples and record the `window` = (first sample, samples); (0, 0) for nothing.

    Raises UserError for a sample count below 1 or a plan the simulator cannot wire.
    """
    if samples < 1:
        raise UserError(
            "simulate", expected="at least 1 sample", got=str(samples), change="give --samples 1000"
        )
    wiring = wire(plan)
    table = tables(wiring, samples)
    state = start(table, window)
    done = steady.run(table, state, samples, window)
    waits = () if done else cycle_of_waits(wiring, table, state, samples)
    return Run(wiring, table, state, samples, waits)


def _interval(run: Run) -> tuple[float, bool]:
    """Cycles between samples in steady state, and whether there is one.

    Measured on every unit over the later half of the ticks in which the pipeline is full; the
    slowest counts, since the others may still be filling their FIFOs.
    """
    if run.deadlock:
        return math.inf, False
    table, marks = run.table, run.state.marks
    ticks = (table.full_to - table.steady_from)[: run.wiring.stages]
    if (ticks < 1).any():
        return max(run.cycles, 1) / run.samples, False
    spans = marks[:, STEADY_TO] - marks[:, STEADY_FROM]
    return max(float((spans[: run.wiring.stages] / ticks).max()), 1.0), True


def _least_samples(run: Run) -> int:
    """Samples of the shortest run in which `_interval` finds a full tick to measure."""
    return int((run.table.full_from - run.table.full_to).max()) + run.samples + 1


def _row(plan: PlanDocument, run: Run, index: int, interval: float, bound: Bottleneck) -> StageRow:
    idle = dict(zip(REASONS, map(int, run.state.idle[index]), strict=True))
    idle["drain"] += run.cycles - int(run.state.time[index])
    busy = int(run.state.busy[index].sum())
    return stage_row(plan.stages[index], busy, idle, interval, bound)
