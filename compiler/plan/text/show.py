"""The text form of a plan: header, totals and stage table, or one stage in full."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict

from ....backend.errors import UnknownNameError, UserError
from ..document import EdgeRecord, PlanDocument
from ..routed import Routed
from ..stage_record import OperatorCost, Rectangle, StageRecord, stages_by_region
from .numbers import facts, table
from .summary import headline, totals

STAGE_COLUMNS = (
    *("stage", "id", "PEs", "region", "forward", "backward", "update", "cycles"),
    *("MACs", "non-zeros", "bytes/PE", "delay", "bound by"),
)


def show(plan: PlanDocument) -> str:
    """Header, totals, and one row per stage (cycles per sample, bytes on the fullest PE)."""
    return "\n\n".join(
        (
            "\n".join((headline(plan), facts(_header(plan)))),
            "\n".join(("totals", facts(totals(plan)))),
            table(STAGE_COLUMNS, stage_rows(plan)),
        )
    )


def stage_rows(plan: PlanDocument) -> tuple[tuple[object, ...], ...]:
    """The stage table, one tuple per stage in the order of STAGE_COLUMNS."""
    return tuple(_row(stage) for stage in plan.stages)


def show_stage(plan: PlanDocument, name: str) -> str:
    """One stage, by its index or id: where it comes from, its tiling, operators and memory."""
    stage = find_stage(plan, name)
    mates = [one.id for one in plan.stages if _has_region_of(one, stage) and one is not stage]
    parts = (
        "\n".join((f"stage {stage.index}: {stage.id}", facts(_stage_facts(stage, mates)))),
        table(_OPERATOR_COLUMNS, [_operator_row(operator) for operator in stage.operators]),
        "\n".join(("memory on the fullest PE, bytes", facts(_memory_facts(stage)))),
        _streams(plan, stage),
    )
    return "\n\n".join(part for part in parts if part)


def find_stage(plan: PlanDocument, name: str) -> StageRecord:
    """The stage of this index or id; raises UserError, for an unknown id with the closest ones."""
    for stage in plan.stages:
        if name in (str(stage.index), stage.id):
            return stage
    if name.isdigit():
        raise UserError(
            f"stage {name}",
            expected=f"a stage from 0 to {len(plan.stages) - 1}, or its id",
            got=name,
            change="list them with: weft show PLAN",
        )
    known = [stage.id for stage in plan.stages]
    raise UnknownNameError("stage", name, known, "weft show PLAN")


def _header(plan: PlanDocument) -> tuple[tuple[str, str], ...]:
    return (
        ("fingerprint", plan.fingerprint[:16]),
        ("target", f"{plan.target} ({_machine(plan)}), {plan.target_hash[:16]}"),
        ("weft", f"{plan.weft_version.partition('+')[0]}, plan format {plan.format}"),
        ("witness", plan.witness),
        ("inputs", "; ".join(f"{r.name} {list(r.shape)} {r.dtype}" for r in plan.inputs)),
        ("parameters", f"{len(plan.parameters)} tensors, {len(plan.masks)} with a mask"),
        *(
            ("one region", f"{' and '.join(stage.id for stage in stages)}, in turns")
            for stages in stages_by_region(plan.stages)
            if len(stages) > 1
        ),
    )


def _machine(plan: PlanDocument) -> str:
    chain = f"{plan.wafers} wafers of " if plan.wafers > 1 else ""
    return f"{chain}{plan.grid[0]} x {plan.grid[1]} PEs"


def _row(stage: StageRecord) -> tuple[object, ...]:
    region, cycles = stage.region, stage.cycles
    return (
        *(stage.index, stage.id, region.area),
        f"{region.height}x{region.width}@{region.row},{region.column}{_on_wafer(region)}",
        *(cycles.forward_cycles, cycles.backward_cycles, cycles.update_cycles),
        *(stage.pace_cycles, stage.macs_effective, stage.nonzeros.total),
        *(stage.memory_per_pe.total_bytes, stage.delay, stage.bound_by),
    )


def _on_wafer(region: Rectangle) -> str:
    return f" w{region.wafer}" if region.wafer else ""


_OPERATOR_COLUMNS = (
    *("phase", "operator", "family", "MACs dense", "MACs done"),
    *("compute", "network", "module", "source"),
)


def _operator_row(operator: OperatorCost) -> tuple[object, ...]:
    data = asdict(operator)
    names = ("phase", "operator", "family", "macs_dense", "macs_effective")
    rest = ("compute_cycles", "network_cycles", "module", "source")
    return tuple(data[name] for name in (*names, *rest))


def _has_region_of(one: StageRecord, other: StageRecord) -> bool:
    return one.uses[0].region.id == other.uses[0].region.id


def _together(stage: StageRecord) -> str:
    sign = ", the first beside the others: " if stage.is_apart else " = "
    return f"{sign}{stage.pace_cycles:,}"


def _apart(stage: StageRecord) -> Iterator[tuple[str, str]]:
    if stage.is_apart:
        parts = (f"{u.purpose} at {_corner(u.region.rectangle)}" for u in stage.uses)
        part = stage.part
        yield "parts", f"{part.height} x {part.width} PEs each, {', '.join(parts)}"


def _stage_facts(stage: StageRecord, mates: Sequence[str]) -> tuple[tuple[str, str], ...]:
    tiling, region, held = stage.tiling, stage.region, stage.nonzeros
    shared = f", with {', '.join(mates)}" if mates else ""
    turned = ", turned" if stage.uses[0].region.turned else ""
    return (
        ("from", f"{stage.module or '<model>'} ({stage.source})"),
        ("parameters", ", ".join(stage.parameters) or "none"),
        ("state", ", ".join((*stage.forward_state, *stage.backward_state)) or "none"),
        ("region", f"{region.height} x {region.width} PEs at {_corner(region)}{turned}{shared}"),
        *_apart(stage),
        (
            "tiling",
            f"{tiling.in_split} input slices x {tiling.space_split} position slices down the rows"
            f"{', interleaved' if tiling.interleaved else ''},"
            f" {tiling.out_split} output slices over the columns; products by {tiling.algorithm}"
            f"{f' in {tiling.groups} groups' if tiling.groups else ''}",
        ),
        (
            "cycles",
            f"{stage.cycles.forward_cycles:,} forward + {stage.cycles.backward_cycles:,} backward"
            f" + {stage.cycles.update_cycles:,} update{_together(stage)}",
        ),
        ("bound by", stage.bound_by),
        (
            "non-zeros",
            f"{held.total:,} of {held.dense:,}; per PE {held.per_pe_mean:.1f} in the mean,"
            f" {held.per_pe_max:,} at most ({held.per_pe_max_unbalanced:,} before balancing)",
        ),
        ("delay", f"{stage.delay} updates, {stage.fifo_depth} samples in flight"),
        ("recompute", "forward again in the backward" if stage.recompute else "no"),
        *_experts(stage),
        *_reversible(stage),
        ("program", stage.program),
    )


def _experts(stage: StageRecord) -> Iterator[tuple[str, str]]:
    """Only of stages whose rows are routed."""
    steps = (step for operator in stage.operators for step in operator.steps)
    for load in dict.fromkeys(step for step in steps if isinstance(step, Routed)):
        mean = load.taken / load.experts
        yield (
            "experts",
            f"{load.experts}, {load.top_k} for a token: {mean:,.1f} rows each in the mean,"
            f" {load.fullest:,} for the fullest, {load.worst:,} at worst;"
            f" room for {load.capacity:,}; {load.idle_share:.0%} of products' time waiting",
        )


def _reversible(stage: StageRecord) -> Iterator[tuple[str, str]]:
    """Only of stages that take part in rebuilding."""
    if stage.rebuilds:
        yield "reversible", "its backward begins with what later stages give back"
    if stage.anchors:
        kept = ", ".join(map(str, stage.anchors))
        yield "anchor", f"keeps input {kept} and gives it back to stages before it"


def _corner(region: Rectangle) -> str:
    place = f"({region.row}, {region.column})"
    return f"{place} of wafer {region.wafer}" if region.wafer else place


def _memory_facts(stage: StageRecord) -> Sequence[tuple[str, str]]:
    classes = asdict(stage.memory_per_pe)
    rows = [(name.removesuffix("_bytes"), f"{value:>8,}") for name, value in classes.items()]
    return [*rows, ("total", f"{stage.memory_per_pe.total_bytes:>8,}")]


def _streams(plan: PlanDocument, stage: StageRecord) -> str:
    edges = [edge for edge in plan.edges if stage.index in (edge.source, edge.sink)]
    names = {record.index: record.id for record in plan.stages}
    columns = ("from", "to", "bytes", "gradient bytes", "rebuilt bytes", "hops", "depth")
    return table(columns, [_stream(edge, names) for edge in edges]) if edges else ""


def _stream(edge: EdgeRecord, names: dict[int, str]) -> tuple[object, ...]:
    ends = (names.get(edge.source, "host"), names.get(edge.sink, "?"))
    back = (edge.gradient_bytes, edge.rebuilt_bytes)
    return (*ends, edge.forward_bytes, *back, edge.hops, edge.depth)
