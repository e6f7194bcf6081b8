"""Rows that every level reports alike, from the wiring and the initiation interval it found."""

from __future__ import annotations

from dataclasses import dataclass

from ...compiler.plan.document import PlanDocument
from ...compiler.plan.stage_record import StageRecord
from .report import EdgeRow, StageRow
from .wiring import BACKWARD, FORWARD, Wiring, host_cycles

SATURATED = 0.995
"""From this share of the interval on, something counts as busy all the time."""

_WAITS_FOR = {"stage": "imbalance", "link": "link", "host": "host", "loop": "loop", "fill": "fill"}


@dataclass(frozen=True)
class Bottleneck:
    """What sets the interval: `kind` is stage, link, host, loop or fill, `name` which one."""

    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.name}"


def too_short(samples: int) -> Bottleneck:
    """What bounds a run of fewer than `samples` samples: it is never in a steady state."""
    return Bottleneck("fill", f"a steady state takes {samples:,} samples or more")


def bottleneck(plan: PlanDocument, wiring: Wiring, interval: float, loop: str) -> Bottleneck:
    """The busiest unit or stream if it is saturated, else `loop` (FIFOs, latency in a cycle)."""
    stages = wiring.units[: wiring.stages]
    slowest = max(range(len(stages)), key=lambda index: stages[index].total_cycles)
    channel = max(wiring.channels, key=lambda c: c.occupancy_cycles, default=None)
    record = plan.stages[slowest]
    candidates = [(stages[slowest].total_cycles, "stage", f"{record.id} ({record.bound_by})")]
    candidates.append((host_cycles(plan), "host", "input bandwidth"))
    if channel is not None:
        candidates.append((channel.occupancy_cycles, "link", wiring.label(channel)))
    busy, kind, name = max(candidates, key=lambda candidate: candidate[0])
    return Bottleneck(kind, name) if busy >= SATURATED * interval else Bottleneck("loop", loop)


def stage_row(
    stage: StageRecord, busy_cycles: int, idle: dict[str, int], interval: float, bound: Bottleneck
) -> StageRow:
    """A stage's row. One that is not busy all the time is bound by the whole plan's bottleneck:
    'imbalance' if that is a slower stage."""
    cycles = stage.cycles
    share = cycles.total_cycles / interval
    return StageRow(
        id=stage.id,
        index=stage.index,
        forward_cycles=cycles.forward_cycles,
        backward_cycles=cycles.backward_cycles,
        update_cycles=cycles.update_cycles,
        busy_cycles=busy_cycles,
        idle_cycles=idle,
        utilisation=share,
        bound_by=stage.bound_by if share >= SATURATED else _WAITS_FOR[bound.kind],
        memory_per_pe=stage.memory_per_pe,
    )


def edge_rows(plan: PlanDocument, wiring: Wiring, interval: float) -> tuple[EdgeRow, ...]:
    """One row per edge of the plan, in its order."""
    names = {stage.index: stage.id for stage in plan.stages}
    load = {(c.edge, c.phase): c.occupancy_cycles / interval for c in wiring.channels}
    links = {channel.edge: channel.links for channel in wiring.channels}
    return tuple(
        EdgeRow(
            source=names.get(edge.source, "host"),
            sink=names[edge.sink],
            forward_bytes=edge.forward_bytes,
            gradient_bytes=edge.gradient_bytes,
            links=links[index],
            hops=edge.hops,
            depth=edge.depth,
            forward_load=load[index, FORWARD],
            gradient_load=load.get((index, BACKWARD), 0.0),
        )
        for index, edge in enumerate(plan.edges)
    )


def mean_utilisation(plan: PlanDocument, interval: float) -> float:
    """Busy share of the used PEs in steady state: stages weighted by their area."""
    area = sum(stage.region.area for stage in plan.stages)
    work = sum(stage.region.area * stage.cycles.total_cycles for stage in plan.stages)
    return work / (area * interval) if area else 0.0
