"""Energy of a sample, where the target file has the powers for it."""

from __future__ import annotations

from dataclasses import dataclass

from ...compiler.plan.constants import constant, has_constants
from ...compiler.plan.document import PlanDocument
from ...compiler.plan.evidence import Figure, energy_of
from ...compiler.plan.evidence.mechanisms import PE_POWER, SYSTEM_POWER
from ..model.report import SimReport


@dataclass(frozen=True)
class Energy:
    """Joules per sample in steady state.

    `busy_pes`: every PE of a region draws its peak power while its stage is busy; an upper bound
    for the arithmetic. `system`: the system of each wafer used draws its rated power all the
    time.
    """

    busy_pes: Figure
    system: Figure

    def to_dict(self) -> dict[str, object]:
        """Plain data, for JSON."""
        return {
            name: {
                "value_j": of.value,
                "low_j": of.low,
                "high_j": of.high,
                "assumed": of.is_assumed,
            }
            for name, of in (("busy_pes", self.busy_pes), ("system", self.system))
        }


def energy(plan: PlanDocument, report: SimReport) -> Energy | None:
    """None if the target has no powers, or the plan never gets anywhere."""
    if not has_constants(plan, "power.pe_peak_w", "power.system_w") or report.deadlock:
        return None
    busy = sum(
        stage.region.area * row.cycles_per_sample
        for stage, row in zip(plan.stages, report.stages, strict=True)
    )
    busy_j = busy / plan.clock_hz * constant(plan, "power.pe_peak_w")
    systems_w = constant(plan, "power.system_w") * plan.totals.wafers_used
    return Energy(
        energy_of(plan, PE_POWER, busy_j),
        energy_of(plan, SYSTEM_POWER, systems_w / report.throughput_samples_per_s),
    )
