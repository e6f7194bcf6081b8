"""The event level: every stage, every sample, finite FIFOs, links and host, cycle by cycle.

Each stage does forward(i), backward(i - delay), update(i - delay) in that order, as soon as its
inputs are there and its outputs have room. Streams do not share links with each other, and what
a stage puts out for a sample leaves when the phase is complete.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ..backend.errors import UserError
from ..compiler.plan.document import PlanDocument
from . import engine
from .deadlock import cycle_of_waits
from .engine import REASONS, State, Tables
from .report import SimReport, StageRow, Wait
from .rows import Bottleneck, bottleneck, edge_rows, mean_utilisation, stage_row
from .wiring import PHASES, Wiring, host_cycles, wire


@dataclass(frozen=True)
class Slice:
    """One phase of one sample on one stage, from `begin` to `end` in cycles."""

    stage: str
    phase: str
    sample: int
    begin: int
    end: int


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
    run = _run(plan, samples, (0, 0))
    interval, steady = _interval(run)
    stages = range(run.wiring.stages)
    loop = "FIFO depths or latency around a loop of stages"
    bound = bottleneck(plan, run.wiring, interval, loop)
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
        forward_latency_cycles=run.mark(last, engine.FIRST_FORWARD_END),
        backward_latency_cycles=max(run.mark(s, engine.FIRST_UPDATE_END) for s in stages),
        fill_cycles=run.mark(0, engine.FIRST_BACKWARD_START),
        drain_cycles=run.cycles - run.mark(0, engine.LAST_FORWARD_END),
        utilisation=mean_utilisation(plan, interval),
        host_load=host_cycles(plan) / interval,
        bound_by="deadlock" if run.deadlock else str(bound),
        stages=tuple(_row(plan, run, index, interval, bound) for index in stages),
        edges=edge_rows(plan, run.wiring, interval),
        deadlock=run.deadlock,
    )


def timeline(plan: PlanDocument, samples: int, first: int, count: int) -> tuple[Slice, ...]:
    """What every stage does with samples first to first + count - 1 in a run of `samples`.

    Slices come by stage, then sample, then phase. Only the window is kept in memory.
    """
    run = _run(plan, samples, (first, count))
    names = [unit.name for unit in run.wiring.units[: run.wiring.stages]]
    recorded = run.state.slices[: run.wiring.stages]
    done = [map(int, where) for where in np.argwhere(recorded[..., 1] >= 0)]
    return tuple(
        Slice(names[u], PHASES[phase], first + s, *map(int, recorded[u, s, phase]))
        for u, s, phase in done
    )


def _run(plan: PlanDocument, samples: int, window: tuple[int, int]) -> Run:
    if samples < 1:
        raise UserError(
            "simulate", expected="at least 1 sample", got=str(samples), change="give --samples 1000"
        )
    wiring = wire(plan)
    table = engine.tables(wiring, samples)
    state = engine.start(table, window)
    done = engine.run(table, state, samples, window[0])
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
    spans = marks[:, engine.STEADY_TO] - marks[:, engine.STEADY_FROM]
    return max(float((spans[: run.wiring.stages] / ticks).max()), 1.0), True


def _row(plan: PlanDocument, run: Run, index: int, interval: float, bound: Bottleneck) -> StageRow:
    idle = dict(zip(REASONS, map(int, run.state.idle[index]), strict=True))
    idle["drain"] += run.cycles - int(run.state.time[index])
    busy = int(run.state.busy[index].sum())
    return stage_row(plan.stages[index], busy, idle, interval, bound)
