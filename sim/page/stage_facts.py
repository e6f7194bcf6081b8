"""What the page shows of a stage that is chosen, as plain data for its script."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from operator import attrgetter
from typing import Any

from ...compiler.plan.document import PlanDocument
from ...compiler.plan.stage_record import StageRecord
from ...compiler.plan.text.numbers import percent, quantity
from ..model.report import EdgeRow, SimReport, StageRow
from .advice import Advice, in_phase

_OPERATORS = 6


def stage_facts(plan: PlanDocument, report: SimReport, advice: Iterable[Advice]) -> str:
    """JSON that may stand inside a page: a list of stages, each {name, facts, lists}."""
    numbers = {stage.id: stage.index for stage in plan.stages}
    data = [
        {
            "name": stage.id,
            "facts": [pair for pair in _facts(plan, stage, row, entry) if pair[1]],
            "operators": _operators(stage, row),
            "from": [_stream(e, e.source, numbers) for e in report.edges if e.sink == stage.id],
            "to": [_stream(e, e.sink, numbers) for e in report.edges if e.source == stage.id],
        }
        for stage, row, entry in zip(plan.stages, report.stages, advice, strict=True)
    ]
    return json.dumps(data, separators=(",", ":")).replace("<", "\\u003c")


def _facts(
    plan: PlanDocument, stage: StageRecord, row: StageRow, entry: Advice
) -> list[tuple[str, str]]:
    region, tiling, memory = stage.region, stage.tiling, row.memory_per_pe
    held = {k: v for k, v in asdict(memory).items() if v}
    largest = sorted(held, key=lambda name: -held[name])[:3]
    capacity = plan.totals.memory_capacity_per_pe_bytes
    return [
        ("what would help", entry.advice),
        ("bound by", entry.bound_by),
        ("module", stage.module),
        ("source", stage.source),
        ("region", f"{region.height} x {region.width} PEs at row {region.row}, column"
                   f" {region.column}" + (f" of wafer {region.wafer}" if region.wafer else "")
                   + (": half for the forward, half for the rest" if stage.is_apart else "")),
        ("tiling", f"{tiling.in_split} slices of inputs x {tiling.space_split} of positions x"
                   f" {tiling.out_split} of outputs"),
        ("cycles", f"{row.forward_cycles:,} forward, {row.backward_cycles:,} backward,"
                   f" {row.update_cycles:,} update"),
        ("busy", f"{percent(row.utilisation)} of the interval"
                 + (", in the mean over two regions" if stage.is_apart else "")),
        ("work", f"{quantity(stage.macs_effective)} of {quantity(stage.macs_dense)} MAC"),
        ("memory", f"{memory.total_bytes:,} of {capacity:,} bytes on the fullest PE: "
                   + ", ".join(f"{held[n]:,} {n.removesuffix('_bytes').replace('_', ' ')}"
                               for n in largest)),
        ("delay", f"{stage.delay} updates; {'recomputed' if stage.recompute else 'kept'}"
                  f" activations, FIFO of {stage.fifo_depth}"),
    ]  # fmt: skip


def _operators(stage: StageRecord, row: StageRow) -> list[tuple[str, str]]:
    """The operators that take most cycles, and their share of the stage's."""
    longest = sorted(stage.operators, key=attrgetter("cycles"), reverse=True)[:_OPERATORS]
    total = max(row.forward_cycles + row.backward_cycles + row.update_cycles, 1)
    return [
        (
            in_phase(o),
            f"{o.cycles:,} ({o.cycles / total:.0%}), {o.network_cycles:,} of them exchange",
        )
        for o in longest
        if o.cycles
    ]


def _stream(edge: EdgeRow, other: str, numbers: dict[str, int]) -> dict[str, Any]:
    load = max(edge.forward_load, edge.gradient_load)
    said = f"{edge.forward_bytes:,} B, {edge.hops} hops, links {load:.0%} busy"
    return {"name": other, "stage": numbers.get(other, -1), "text": said}
