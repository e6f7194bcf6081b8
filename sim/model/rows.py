"""Rows that every level reports alike, from the wiring and the initiation interval it found."""

from __future__ import annotations

from ...compiler.plan.document import PlanDocument
from ...compiler.plan.stage_record import StageRecord
from ...compiler.timing.wiring import BACKWARD, FORWARD, Wiring
from .report import EdgeRow, StageRow


def stage_row(
    stage: StageRecord, busy_cycles: int, idle: dict[str, int], interval: float
) -> StageRow:
    """A stage's row."""
    cycles = stage.cycles
    return StageRow(
        id=stage.id,
        index=stage.index,
        forward_cycles=cycles.forward_cycles,
        backward_cycles=cycles.backward_cycles,
        update_cycles=cycles.update_cycles,
        busy_cycles=busy_cycles,
        idle_cycles=idle,
        utilisation=cycles.total_cycles / interval,
        bound_by=stage.bound_by,
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
            rebuilt_bytes=edge.rebuilt_bytes,
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
    area = sum(region.rectangle.area for region in plan.regions)
    work = sum(stage.region.area * stage.cycles.total_cycles for stage in plan.stages)
    return work / (area * interval) if area else 0.0
