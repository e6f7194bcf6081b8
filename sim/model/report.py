"""What a simulation says: one frozen record, the same for every level.

Cycles are of the target's clock. "Per sample" is one training sample: forward, backward and update.
Row keys are stage ids, as in the report of a training run.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields
from typing import Any

from ...backend.frame import frame
from ...backend.shown import Shown
from ...compiler.plan.evidence import PlanFigures
from ...compiler.plan.stage_record import PEMemory
from ...compiler.plan.text.numbers import cycles, duration, percent, quantity
from ...compiler.plan.text.numbers import facts as text_of
from ...compiler.plan.text.summary import latency, rate


@dataclass(frozen=True)
class StageRow:
    """One stage. `utilisation` is the share of the initiation interval that its phases take.

    `idle_cycles` splits all idle cycles of the run by what the stage waited for at that moment:
    fill (the pipeline was not full yet), imbalance (the producer was at work on what it needs),
    starved (the producer was itself waiting), link (the item was under way), host, blocked (no room
    in an output while the consumer was at work), loop (no room although the consumer was waiting
    too: the FIFO is too shallow), drain, turn (another stage of its region was at work), and in
    plans with experts routing (experts with fewer rows than the fullest waited for it, in the mean
    over all). With the busy cycles of all samples they add up to the cycles of the run. Of a stage
    with two `regions` both are in the mean over them, and turn is what one waits for the other.
    `bound_by` is what takes most of the stage's own cycles.
    """

    id: str
    index: int
    forward_cycles: int
    backward_cycles: int
    update_cycles: int
    busy_cycles: int
    idle_cycles: dict[str, int]
    utilisation: float
    bound_by: str
    memory_per_pe: PEMemory
    regions: int = 1

    @property
    def cycles_per_sample(self) -> float:
        """At work, in the mean over the stage's PEs."""
        return (self.forward_cycles + self.backward_cycles + self.update_cycles) / self.regions

    @property
    def pace_share(self) -> float:
        """Of the time, in steady state, in which the busier of its regions is at work."""
        after = self.backward_cycles + self.update_cycles
        if self.regions == 1 or not self.cycles_per_sample:
            return self.utilisation
        return self.utilisation * max(self.forward_cycles, after) / self.cycles_per_sample


@dataclass(frozen=True)
class EdgeRow:
    """One stream. A load is the share of the interval in which its links are busy one way."""

    source: str
    sink: str
    forward_bytes: int
    gradient_bytes: int
    rebuilt_bytes: int
    links: int
    hops: int
    depth: int
    forward_load: float
    gradient_load: float


@dataclass(frozen=True)
class WaitLink:
    """One link in a cycle of waits: `stage` cannot go on with `phase` until `on` has acted.

    It waits for an 'item' to arrive on the stream or for 'room' in it, or for its 'turn' in a
    region of several stages. `sample` is -1 where the level does not follow single samples.
    """

    stage: str
    phase: str
    sample: int
    wants: str
    stream: str
    on: str

    def __str__(self) -> str:
        sample = f" of sample {self.sample}" if self.sample >= 0 else ""
        return f"{self.stage}, {self.phase}{sample}: waits for {self.wants} in {self.stream}"


@dataclass(frozen=True, repr=False)
class SimReport(Shown):
    """A plan in time.

    `cycles` and `seconds` are of the whole run of `samples`, with fill and drain. The throughput is
    that of the steady state, clock / initiation interval; `steady` says whether the run was long
    enough to reach it (if not, the interval is cycles / samples). Latencies are those of the first
    sample: through all forwards, and until its last update, from when the host is asked for it;
    `host_latency_cycles` of that pass before its first byte comes. Fill ends when the first stage
    starts its first backward, drain begins when it has done its last forward. With a `deadlock`
    (the cycle of waits; empty when there is none) the interval is infinite and the throughput 0.
    `figures` are those of the plan: how far off they may be, and why.
    """

    level: str
    model: str
    target: str
    samples: int
    clock_hz: float
    cycles: int
    seconds: float
    initiation_interval_cycles: float
    throughput_samples_per_s: float
    steady: bool
    host_latency_cycles: int
    forward_latency_cycles: int
    backward_latency_cycles: int
    fill_cycles: int
    drain_cycles: int
    utilisation: float
    host_load: float
    bound_by: str
    stages: tuple[StageRow, ...]
    edges: tuple[EdgeRow, ...]
    deadlock: tuple[WaitLink, ...]
    figures: PlanFigures

    @property
    def forward_latency_s(self) -> float:
        """From when the host is asked for the first sample until its loss. [s]"""
        return self.forward_latency_cycles / self.clock_hz

    @property
    def run_figures(self) -> PlanFigures:
        """Interval, rate and latency of this run, each as far off as the plan's."""
        if self.deadlock:
            return self.figures
        return self.figures.at(
            self.initiation_interval_cycles, self.throughput_samples_per_s, self.forward_latency_s
        )

    def summary(self) -> str:
        """A few lines: throughput, latency, what bounds the run."""
        return f"{self._title}, {self.level} level\n{text_of(self.facts())}"

    def facts(self) -> list[tuple[str, str]]:
        """The headline numbers as (name, readable value)."""
        fullest = max(row.memory_per_pe.total_bytes for row in self.stages)
        to_loss = self.forward_latency_cycles, self.host_latency_cycles
        return [
            (
                "throughput",
                f"{rate(self.run_figures.throughput)}, one sample every"
                f" {cycles(self.initiation_interval_cycles)}"
                + ("" if self.steady else ", the mean of a run too short for a steady state"),
            ),
            ("latency", latency(*to_loss, self.clock_hz, self.figures.latency)),
            ("run", f"{self.samples:,} samples in {duration(self.seconds)} of machine time"),
            ("fill, drain", f"{self.fill_cycles:,} and {self.drain_cycles:,} cycles"),
            ("utilisation", f"{percent(self.utilisation)} of the PEs used"),
            ("bound by", self.bound_by),
            ("memory", f"{fullest:,} bytes on the fullest PE"),
        ]

    def __repr__(self) -> str:
        """One line: model, machine, samples, throughput."""
        rate = quantity(self.throughput_samples_per_s)
        return f"SimReport({self._title}: {self.samples:,} samples, {rate} samples/s)"

    def to_frame(self) -> Any:
        """A pandas DataFrame with a row for each stage. Raises UserError without pandas."""
        return frame(asdict(row) for row in self.stages)

    @property
    def _title(self) -> str:
        return f"{self.model} on {self.target}"

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON; an infinite interval becomes null."""
        own = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "figures"}
        data = {name: _plain(value) for name, value in own.items()}
        data["error_bars"] = self.run_figures.bars()
        if math.isinf(self.initiation_interval_cycles):
            data["initiation_interval_cycles"] = None
        return data


def _plain(value: Any) -> Any:
    return tuple(map(asdict, value)) if isinstance(value, tuple) else value
