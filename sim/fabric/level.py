"""The fabric level of a whole plan: products stepped PE by PE, the rest as the plan prices it.

Phases of stages get the cycles so found, and the event level runs with them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import NamedTuple

from ...backend.errors import UserError
from ...compiler.plan.constants import target_of
from ...compiler.plan.document import PlanDocument
from ...compiler.plan.plan import Plan
from ...compiler.plan.stage_record import PhaseCycles, StageRecord
from ...compiler.targets.target import Target
from ..event.level import event
from ..model.report import SimReport
from .hand_over import hand_over_cycles
from .product_cycles import product_cycles
from .products import PRODUCTS, Operator, operators_of
from .slices import border_cycles, middle_cycles
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
    of_border = cache(lambda border: border_cycles(border, target))
    of_handed = cache(lambda handed: hand_over_cycles(handed, target))

    def times(operator: Operator) -> FabricTimes:
        products = [of_product(product) for product in operator.products]
        rest = sum(map(of_sum, operator.sums)) + operator.pass_cycles
        rest += of_handed(operator.handed) if operator.handed else 0
        behind = (of_sum(s) if isinstance(s, Sum) else of_copies(s) for s in operator.behind)
        lead = products[-1] if operator.leads else 0
        border = sum(map(of_border, operator.borders))
        return FabricTimes(sum(products) + rest, sum(behind), lead, border)

    return tuple(row for record in plan.document.stages for row in _rows(record, target, times))


class FabricTimes(NamedTuple):
    """Cycles of an operator and of the sums it leaves behind, which begin `lead` cycles before
    it ends; its last `border` cycles are an exchange of borders."""

    cycles: int
    behind: int = 0
    lead: int = 0
    border: int = 0


Operators = Mapping[tuple[str, str], Operator]


def _operators(record: StageRecord, target: Target) -> Operators:
    small = record.part.area <= LARGEST_PES
    return operators_of(record, target) if small else {}


def _rows(
    stage: StageRecord, target: Target, times: Callable[[Operator], FabricTimes]
) -> Iterator[PhaseRow]:
    """The forward, then the backward."""
    found = _operators(stage, target)
    own = {phase: [o for o in stage.operators if o.phase == phase] for phase in PHASES}
    stepped = {
        phase: [
            times(found[phase, o.name]) if (phase, o.name) in found else FabricTimes(o.cycles)
            for o in operators
        ]
        for phase, operators in own.items()
    }
    for phase, cycles in _phases(stepped, stage.backward_first).items():
        names = tuple(o.name for o in own[phase] if (phase, o.name) in found)
        yield PhaseRow(
            stage=stage.id,
            phase=phase,
            pes=stage.part.area,
            event_cycles=getattr(stage.cycles, f"{phase}_cycles"),
            fabric_cycles=cycles,
            stepped=names,
            priced=tuple(
                o.name for o in own[phase] if o.family in PRODUCTS and o.name not in names
            ),
        )


def _phases(stepped: Mapping[str, Sequence[FabricTimes]], backward_first: bool) -> dict[str, int]:
    """Cycles of each phase. Where the backward comes first, what is left of its sums goes on behind
    the forward, and sums of the forward behind the next backward, when that has its borders."""
    if not backward_first:
        return {phase: _end(times, 0) for phase, times in stepped.items()}
    forward = stepped["forward"]
    left = sum(one.behind for one in forward)
    summed = left + sum(one.border for one in forward) if left else 0
    after = [one._replace(behind=0) for one in forward]
    own, end = sum(one.cycles for one in forward), _end([*stepped["backward"], *after], summed)
    return {"forward": own, "backward": end - own}


def _end(times: Sequence[FabricTimes], summed: int) -> int:
    """When operators and the sums that they leave behind have ended. Operators run one after the
    other; sums so too, beside the operators that follow, when those from before have been `summed`;
    borders wait for the sums before them."""
    now, end = 0, summed
    for one in times:
        now += one.cycles
        now = max(now, end + one.border) if one.border else now
        end = max(end, now - one.lead) + one.behind if one.behind else end
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
