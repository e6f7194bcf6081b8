"""What bounds each stage, out of `compiler/plan/causes.py`, and one line on what would help."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ...compiler.plan.document import PlanDocument
from ...compiler.plan.stage_record import OperatorCost, StageRecord, pacing
from ..model.report import SimReport, StageRow
from ..model.rows import ROUTING

_AT_PACE = 0.995
"""From this share of the interval on, a stage counts as busy all the time."""
_REMEDIES = {
    "starved": "a producer is late",
    "blocked": "deeper FIFOs",
    "link": "shorter or wider streams",
    "imbalance": "a slower stage sets the pace",
    "host": "fewer bytes per sample through the host",
    "loop": "deeper FIFOs",
}
_UNEVEN = 1.15
"""From this ratio of the fullest to the mean PE on, spreading the non-zeros is the first advice."""


@dataclass(frozen=True)
class Advice:
    """`bound_by` is what takes most of the stage's own cycles; `link_load` is the busiest of the
    stage's streams, as a share of the interval."""

    stage: str
    bound_by: str
    link_load: float
    advice: str


def advise(plan: PlanDocument, report: SimReport) -> tuple[Advice, ...]:
    """One entry per stage, in order."""
    loads = {row.id: 0.0 for row in report.stages}
    for edge in report.edges:
        load = max(edge.forward_load, edge.gradient_load)
        for end in (edge.source, edge.sink):
            if end in loads:
                loads[end] = max(loads[end], load)
    return tuple(
        Advice(row.id, row.bound_by, loads[row.id], _line(stage, row, report))
        for stage, row in zip(plan.stages, report.stages, strict=True)
    )


def verdict(plan: PlanDocument, report: SimReport, advice: Sequence[Advice]) -> str:
    """The bottleneck in a sentence or two."""
    if report.deadlock:
        return "The pipeline stands still: stages wait for each other."
    pace, slowest = report.initiation_interval_cycles, slowest_stage(report)
    row = report.stages[slowest]
    alike = sum(r.pace_share >= _AT_PACE for r in report.stages) - 1
    others = f" and {alike} more as slow" if alike > 0 else ""
    said = f"A sample takes {pace:,.0f} cycles. "
    if row.pace_share >= _AT_PACE:
        return (
            f"{said}{row.id}{others} set{'' if others else 's'} the pace: {advice[slowest].advice}."
        )
    cause, _, at = report.bound_by.partition(": ")
    return (
        f"{said}No stage is busy all the time (the busiest, {row.id}, {row.pace_share:.0%}):"
        f" {cause} sets the pace{f', {at}' if at else ''}."
    )


def slowest_stage(report: SimReport) -> int:
    """The number of the busiest stage, the first of several."""
    shares = [row.pace_share for row in report.stages]
    return shares.index(max(shares))


def in_phase(operator: OperatorCost) -> str:
    """Phase and operator, such as `forward linear`; an update is named once."""
    kind = operator.operator.split(".")[1]
    return kind if kind == operator.phase else f"{operator.phase} {kind}"


def _line(stage: StageRecord, row: StageRow, report: SimReport) -> str:
    cause, _, at = report.bound_by.partition(": ")
    if cause == "fill":
        return "the pipeline fills and drains: simulate more samples"
    if row.pace_share >= _AT_PACE:
        return _own(stage, row)
    if cause in ("link", "wafer-link", "host", "loop", "deadlock"):
        return _waiting(row, cause)
    return f"{_most(stage, row)}; idle {1 - row.pace_share:.0%} at the pace of {at}"


def _own(stage: StageRecord, row: StageRow) -> str:
    """What would make the stage itself faster."""
    if wait := row.idle_cycles.get(ROUTING, 0):
        share = wait / (wait + row.busy_cycles)
        return f"experts wait {share:.0%} of its time for the fullest: balance them, or a capacity"
    if row.bound_by == "network":
        return f"{_most(stage, row)}: fewer, larger tiles"
    nonzeros = stage.nonzeros
    if nonzeros.total < nonzeros.dense and nonzeros.per_pe_max > _UNEVEN * nonzeros.per_pe_mean:
        ratio = nonzeros.per_pe_max / max(nonzeros.per_pe_mean, 1e-9)
        return f"fullest PE has {ratio:.2f} x the mean non-zeros: balance them"
    if row.bound_by == "memory":
        return f"{_most(stage, row)}: fuse passes or narrow the dtype"
    return f"{_most(stage, row)}: more PEs, or sparser weights"


def _most(stage: StageRecord, row: StageRow) -> str:
    """What takes most of the cycles of the stage's busier region, of the kind that bounds it."""
    operators = pacing(stage.operators, stage.uses)
    if row.bound_by == "network":
        return f"exchange of {_largest(operators, 'network_cycles')}"
    return _largest(operators, "compute_cycles")


def _waiting(row: StageRow, cause: str) -> str:
    """What the stage waits for most, outside fill and drain, and what would help."""
    if cause == "host":
        return "fewer bytes per sample through the host (a narrower dtype, FIFOs on the wafer)"
    reasons = {r: c for r, c in row.idle_cycles.items() if r in _REMEDIES and c}
    if not reasons:
        return "nothing to wait for"
    reason = max(reasons, key=lambda name: reasons[name])
    return f"idle {max(0.0, 1 - row.pace_share):.0%}, mostly {reason}: {_REMEDIES[reason]}"


def _largest(operators: Sequence[OperatorCost], kind: str) -> str:
    """The phase and operator with most cycles of a kind, and its share of the stage."""
    total = sum(operator.cycles for operator in operators)
    shares = _shares(operators, kind)
    name, cycles = max(shares.items(), key=lambda item: item[1], default=("nothing", 0))
    return f"{name} takes {cycles / max(total, 1):.0%}"


def _shares(operators: Iterable[OperatorCost], kind: str) -> dict[str, int]:
    shares: dict[str, int] = {}
    for operator in operators:
        name = in_phase(operator)
        shares[name] = shares.get(name, 0) + getattr(operator, kind)
    return shares
