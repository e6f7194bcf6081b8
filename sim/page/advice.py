"""What bounds each stage, and one line on what would help.

compute           the datapath: multiply-adds, or element-wise work that its ports keep up with
memory bandwidth  element-wise work that takes all a PE's memory ports can read
link              communication inside the region, or a stream between stages
host              the machine's way in
imbalance         another stage is slower
loop              FIFO depths or latency around a loop of stages
fill              the run is too short for a steady state
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ...compiler.plan.document import PlanDocument
from ...compiler.plan.stage_record import OperatorCost, StageRecord
from ..model.constants import constant, has_constants
from ..model.report import SimReport, StageRow

_ELEMENTWISE = frozenset({"elementwise", "normalization", "optimizer", "pooling", "reduction"})
_OPERANDS = 2
_REMEDIES = {
    "starved": "a producer is late",
    "blocked": "deeper FIFOs",
    "network": "shorter or wider streams",
    "imbalance": "a slower stage sets the pace",
    "host": "fewer input bytes per sample",
    "memory": "fewer bytes per PE",
}
_UNEVEN = 1.15
"""From this ratio of the fullest to the mean PE on, spreading the non-zeros is the first advice."""


@dataclass(frozen=True)
class Advice:
    """`link_load` is the busiest of the stage's streams, as a share of the interval."""

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
    slowest = max(report.stages, key=lambda row: row.cycles_per_sample)
    found = []
    for stage, row in zip(plan.stages, report.stages, strict=True):
        bound = _bound(plan, stage, row)
        found.append(Advice(row.id, bound, loads[row.id], _line(stage, row, bound, slowest.id)))
    return tuple(found)


def _bound(plan: PlanDocument, stage: StageRecord, row: StageRow) -> str:
    if row.bound_by == "network":
        return "link"
    if row.bound_by == "compute" and _is_memory_bound(plan, stage):
        return "memory bandwidth"
    return row.bound_by


def _is_memory_bound(plan: PlanDocument, stage: StageRecord) -> bool:
    """Most cycles go to element-wise work, and that work keeps all read ports busy.

    False where the plan's target does not say how fast they are.
    """
    compute = sum(o.compute_cycles for o in stage.operators)
    passes = sum(o.compute_cycles for o in stage.operators if o.family in _ELEMENTWISE)
    dtype, size = _dtype(plan)
    rate, port = f"compute.{dtype}.elements_per_cycle", "sram.read_bytes_per_cycle"
    if 2 * passes <= compute or not has_constants(plan, rate, port):
        return False
    return _OPERANDS * size * constant(plan, rate) >= constant(plan, port)


def _dtype(plan: PlanDocument) -> tuple[str, int]:
    """The plan's floating-point type and its bytes."""
    floating = [p.dtype for p in (*plan.parameters, *plan.inputs) if "float" in p.dtype]
    dtype = floating[0] if floating else "float32"
    return dtype, 4 if dtype == "float32" else 2


def _line(stage: StageRecord, row: StageRow, bound: str, slowest: str) -> str:
    if bound == "imbalance":
        spare = 1 - row.utilisation
        return f"idle {spare:.0%}: a slower stage sets the pace, {slowest}"
    if bound == "fill":
        return "the pipeline fills and drains: simulate more samples"
    if bound == "host":
        return "fewer input bytes per sample (a narrower dtype)"
    if row.bound_by in ("link", "loop"):
        return _waiting(row)
    if bound == "link":
        return f"exchange of {_largest(stage.operators, 'network_cycles')}: fewer, larger tiles"
    nonzeros = stage.nonzeros
    if nonzeros.total < nonzeros.dense and nonzeros.per_pe_max > _UNEVEN * nonzeros.per_pe_mean:
        ratio = nonzeros.per_pe_max / max(nonzeros.per_pe_mean, 1e-9)
        return f"fullest PE has {ratio:.2f} x the mean non-zeros: balance them"
    if bound == "memory bandwidth":
        return f"{_largest(stage.operators, 'compute_cycles')}: fuse passes or narrow the dtype"
    return f"{_largest(stage.operators, 'compute_cycles')}: more PEs, or sparser weights"


def _waiting(row: StageRow) -> str:
    """What the stage waits for most, outside fill and drain, and what would help."""
    reasons = {r: c for r, c in row.idle_cycles.items() if r in _REMEDIES and c}
    if not reasons:
        return "nothing to wait for"
    reason = max(reasons, key=lambda name: reasons[name])
    return f"idle {max(0.0, 1 - row.utilisation):.0%}, mostly {reason}: {_REMEDIES[reason]}"


def _largest(operators: Sequence[OperatorCost], kind: str) -> str:
    """The phase and operator with most cycles of a kind, and its share of the stage."""
    total = sum(operator.cycles for operator in operators)
    shares = _shares(operators, kind)
    name, cycles = max(shares.items(), key=lambda item: item[1], default=("nothing", 0))
    return f"{name} takes {cycles / max(total, 1):.0%}"


def _shares(operators: Iterable[OperatorCost], kind: str) -> dict[str, int]:
    shares: dict[str, int] = {}
    for operator in operators:
        name = f"{operator.phase} {operator.operator.split('.')[1]}"
        shares[name] = shares.get(name, 0) + getattr(operator, kind)
    return shares
