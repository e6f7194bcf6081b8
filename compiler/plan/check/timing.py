"""Rules about a stage's time: delay, FIFO depth, operators, cycles by phase."""

from __future__ import annotations

from collections.abc import Iterator

from ..document import PlanDocument
from ..stage_record import OperatorCost, PhaseCycles, StageRecord
from .violation import Finding, Subject

PASSES = ("elementwise", "normalization", "optimizer", "pooling", "reduction")
PHASES = ("forward", "backward", "update")


def delays(subject: Subject) -> Iterator[Finding]:
    """D_s = 2 (S - 1 - s) updates lie between the forward and the backward of a sample."""
    stages = subject.plan.stages
    for position, stage in enumerate(stages):
        expected = 2 * (len(stages) - 1 - position)
        if stage.delay != expected:
            yield Finding(f"{stage.id}.delay", expected, stage.delay)


def fifo_depths(subject: Subject) -> Iterator[Finding]:
    """A stage holds the samples between their forward and their backward: 2 (S - 1 - s), and that
    of its tick unless the backward has been done with another one."""
    stages = subject.plan.stages
    for position, stage in enumerate(stages):
        expected = 2 * (len(stages) - 1 - position) + (not stage.backward_first)
        if stage.fifo_depth != expected:
            yield Finding(f"{stage.id}.fifo_depth", expected, stage.fifo_depth)


def tick_orders(subject: Subject) -> Iterator[Finding]:
    """A backward comes before the forward of its tick only where these are of different samples,
    and on a region of the stage's own: stages of one region take turns in the order of ticks."""
    for position, stage in enumerate(subject.plan.stages):
        shares = len(subject.users[position]) > 1
        if stage.backward_first and (shares or position + 1 == len(subject.plan.stages)):
            yield Finding(f"{stage.id}.backward_first", False, stage.backward_first)


def cycles_cover_operators(subject: Subject) -> Iterator[Finding]:
    """A phase takes the sum of its operators' cycles; none of them is negative."""
    for stage in subject.plan.stages:
        given = dict(zip(PHASES, _phases(stage.cycles), strict=True))
        for phase in PHASES:
            needed = _operator_cycles(stage, phase)
            if given[phase] != needed:
                expected = f"{needed} cycles, the sum over its operators"
                yield Finding(f"{stage.id}.cycles.{phase}_cycles", expected, given[phase])


def operators_sound(subject: Subject) -> Iterator[Finding]:
    """Each operator belongs to a known phase and counts no negative work."""
    for stage in subject.plan.stages:
        for operator in stage.operators:
            where = f"{stage.id}.operators.{operator.name}"
            if operator.phase not in PHASES:
                yield Finding(f"{where}.phase", f"one of {', '.join(PHASES)}", operator.phase)
            least = min(operator.compute_cycles, operator.network_cycles, operator.macs_effective)
            if least < 0:
                yield Finding(where, "no negative cycles or MACs", least)
            if operator.macs_effective > operator.macs_dense:
                expected = f"at most {operator.macs_dense} (dense)"
                yield Finding(f"{where}.macs_effective", expected, operator.macs_effective)


def bound_by(subject: Subject) -> Iterator[Finding]:
    """A stage is bound by what takes more of its cycles, arithmetic if both take the same; by the
    memory's ports if most of that are passes that read as much as the ports can give. Of a stage
    with two regions the cycles of the busier one count, of equal ones those of the forward."""
    reads = _reads_all(subject.plan)
    for stage in subject.plan.stages:
        own = _slower(stage) if len(stage.uses) > 1 else stage.operators
        compute = sum(operator.compute_cycles for operator in own)
        network = sum(operator.network_cycles for operator in own)
        passes = sum(o.compute_cycles for o in own if o.family in PASSES)
        expected = "memory" if reads and passes > compute / 2 else "compute"
        expected = expected if compute >= network else "network"
        if stage.bound_by != expected:
            yield Finding(f"{stage.id}.bound_by", expected, stage.bound_by)


def _slower(stage: StageRecord) -> list[OperatorCost]:
    """Operators of the forward, or those of backward and update if they take longer."""
    forward = [operator for operator in stage.operators if operator.phase == PHASES[0]]
    after = [operator for operator in stage.operators if operator.phase in PHASES[1:]]
    cycles = [sum(o.compute_cycles + o.network_cycles for o in own) for own in (forward, after)]
    return after if cycles[1] > cycles[0] else forward


def _reads_all(plan: PlanDocument) -> bool:
    """Whether two operands at the rate of the plan's first floating-point type fill the ports."""
    types = [t.dtype for t in (*plan.parameters, *plan.inputs) if "float" in t.dtype] or ["float32"]
    numbers = {c.name: c.value for c in plan.provenance if isinstance(c.value, int | float)}
    rate = numbers.get(f"compute.{types[0]}.elements_per_cycle")
    ports = numbers.get("sram.read_bytes_per_cycle")
    if rate is None or ports is None:
        return False
    return 2 * (4 if types[0] == "float32" else 2) * rate >= ports


def _phases(cycles: PhaseCycles) -> tuple[int, int, int]:
    return cycles.forward_cycles, cycles.backward_cycles, cycles.update_cycles


def _operator_cycles(stage: StageRecord, phase: str) -> int:
    return sum(
        operator.compute_cycles + operator.network_cycles
        for operator in stage.operators
        if operator.phase == phase
    )
