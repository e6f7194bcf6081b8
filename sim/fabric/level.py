"""The fabric level of a whole plan: products stepped PE by PE, the rest as the plan prices it.

Phases of stages get the cycles so found, and the event level runs with them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache

from ...backend.errors import UserError
from ...compiler.plan.constants import target_of
from ...compiler.plan.document import PlanDocument
from ...compiler.plan.plan import Plan
from ...compiler.plan.stage_record import PhaseCycles, StageRecord
from ...compiler.targets.target import Target
from ..event.level import event
from ..model.report import SimReport
from .product_cycles import product_cycles
from .products import PRODUCTS, Operator, operators_of
from .slices import middle_cycles
from .sums import Sum, sum_cycles

LARGEST_PES = 128 * 128
"""Larger regions are not stepped: a product on so many PEs takes about a second."""

PHASES = ("forward", "backward")


@dataclass(frozen=True)
class PhaseRow:
    """A phase of a stage: its cycles at the event level, and with its products stepped.

    `stepped` names the operators that were stepped, `priced` the products that were not.
    """

    stage: str
    phase: str
    pes: int
    event_cycles: int
    fabric_cycles: int
    stepped: tuple[str, ...]
    priced: tuple[str, ...]

    @property
    def difference(self) -> float:
        """Of the fabric from the event level, as a share of the latter."""
        return self.fabric_cycles / self.event_cycles - 1 if self.event_cycles else 0.0


def phase_rows(plan: Plan, target: Target) -> tuple[PhaseRow, ...]:
    """Forward and backward of every stage, in order. Equal products are stepped once.

    Raises UserError for a target without multicast, or with latencies that cannot be stepped.
    """
    if not target.noc.multicast:
        raise UserError(
            f"target {target.name}, noc.multicast",
            expected="a network that copies words on their way, as the fabric level steps it",
            got="no multicast",
            change="use --level event",
        )
    of_product = cache(lambda product: product_cycles(product, target))
    of_sum = cache(lambda one: sum_cycles(one, target))
    of_copies = cache(lambda copies: middle_cycles(copies, target))

    def cycles(operator: Operator) -> tuple[int, int]:
        products, sums = map(of_product, operator.products), map(of_sum, operator.sums)
        behind = (of_sum(s) if isinstance(s, Sum) else of_copies(s) for s in operator.behind)
        return sum(products) + sum(sums) + operator.pass_cycles, sum(behind)

    return tuple(
        _row(record, phase, operators, cycles)
        for record in plan.document.stages
        for operators in [_operators(record, target)]
        for phase in PHASES
    )


Operators = Mapping[tuple[str, str], Operator]


def _operators(record: StageRecord, target: Target) -> Operators:
    small = record.region.area <= LARGEST_PES
    return operators_of(record, target) if small else {}


def _row(
    stage: StageRecord,
    phase: str,
    operators: Operators,
    cycles: Callable[[Operator], tuple[int, int]],
) -> PhaseRow:
    own = [operator for operator in stage.operators if operator.phase == phase]
    found = {o.name: operators[phase, o.name] for o in own if (phase, o.name) in operators}
    times = [cycles(found[o.name]) if o.name in found else (o.cycles, 0) for o in own]
    event = getattr(stage.cycles, f"{phase}_cycles")
    return PhaseRow(
        stage=stage.id,
        phase=phase,
        pes=stage.region.area,
        event_cycles=event,
        fabric_cycles=_ended(times),
        stepped=tuple(found),
        priced=tuple(o.name for o in own if o.family in PRODUCTS and o.name not in found),
    )


def _ended(times: Sequence[tuple[int, int]]) -> int:
    """Cycles of operators one after the other, each with those of sums that it leaves behind: these
    run one after the other too, beside the operators that follow."""
    now, end = 0, 0
    for cycles, behind in times:
        now += cycles
        end = max(end, now) + behind if behind else end
    return max(now, end)


def simulate_stepped(plan: Plan, samples: int) -> tuple[SimReport, tuple[PhaseRow, ...]]:
    """The report of `samples` training samples with the rows behind it.

    Raises UserError for a plan or a target that cannot be simulated so.
    """
    rows = phase_rows(plan, target_of(plan.document))
    report = event(with_fabric_cycles(plan.document, rows), samples)
    return replace(report, level="fabric"), rows


def with_fabric_cycles(plan: PlanDocument, rows: tuple[PhaseRow, ...]) -> PlanDocument:
    """The plan with the cycles of its phases replaced."""
    found = {(row.stage, row.phase): row.fabric_cycles for row in rows}
    stages = []
    for stage in plan.stages:
        forward, backward = (found[stage.id, phase] for phase in PHASES)
        cycles = PhaseCycles(forward, backward, stage.cycles.update_cycles)
        stages.append(stage.with_cycles(cycles))
    return replace(plan, stages=tuple(stages))
