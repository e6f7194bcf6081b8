"""Rows that every level reports alike, from the wiring and the initiation interval it found."""

from __future__ import annotations

from collections.abc import Iterable

from ...compiler.plan.document import PlanDocument
from ...compiler.plan.routed import Routed
from ...compiler.plan.stage_record import ProductStep, StageRecord
from ...compiler.timing.wiring import BACKWARD, FORWARD, Wiring
from .report import EdgeRow, StageRow

ROUTING = "routing"
"""Why PEs of a stage idle: their expert has fewer rows than another, which they wait for."""


def stage_rows(
    plan: PlanDocument, samples: int, spent: Iterable[tuple[int, dict[str, int]]], interval: float
) -> tuple[StageRow, ...]:
    """A row per stage, from its cycles at work and idle in a run of so many samples.

    Where rows are routed to experts, the time in which experts wait for the one with the most rows
    is idle, in the mean over the stage's PEs.
    """
    waits = [waiting_cycles(stage) for stage in plan.stages]
    return tuple(
        _row(stage, busy - samples * wait, idle | own, interval)
        for stage, wait, (busy, idle) in zip(plan.stages, waits, spent, strict=True)
        for own in [{ROUTING: samples * wait} if any(waits) else {}]
    )


def waiting_cycles(stage: StageRecord) -> int:
    """Cycles of a sample in which an expert's PEs wait, in the mean over all experts."""
    found = 0.0
    for operator in stage.operators:
        loads = [step for step in operator.steps if isinstance(step, Routed)]
        products = [step for step in operator.steps if isinstance(step, ProductStep)]
        for load, product in zip(loads, products, strict=False):
            found += load.idle_share * product.cycles
    return round(found)


def _row(stage: StageRecord, busy_cycles: int, idle: dict[str, int], interval: float) -> StageRow:
    cycles = stage.cycles
    return StageRow(
        id=stage.id,
        index=stage.index,
        forward_cycles=cycles.forward_cycles,
        backward_cycles=cycles.backward_cycles,
        update_cycles=cycles.update_cycles,
        busy_cycles=busy_cycles,
        idle_cycles=idle,
        utilisation=stage.pe_cycles / (stage.region.area * interval),
        bound_by=stage.bound_by,
        memory_per_pe=stage.memory_per_pe,
        regions=len(stage.uses),
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
    work = sum(stage.pe_cycles for stage in plan.stages)
    return work / (area * interval) if area else 0.0
