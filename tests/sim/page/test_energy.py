"""Energy of a sample, where the target file has the powers for it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from helpers import plans
from weft.compiler.plan.document import PlanDocument
from weft.compiler.targets.constant import MachineConstant
from weft.sim import simulate
from weft.sim.page.energy import energy

CHAIN = plans.chain([(10, 20, 5), (30, 40, 10), (10, 10, 10)], size=400)


def _with(plan: PlanDocument, **constants: float) -> PlanDocument:
    added = [
        MachineConstant(k.replace("__", "."), v, "test", "assumed") for k, v in constants.items()
    ]
    kept = [c for c in plan.provenance if c.name not in {a.name for a in added}]
    return replace(plan, provenance=(*kept, *added))


def test_energy_by_hand():
    """80 cycles at 1 GHz a sample: 1 kW of the system is 80 uJ; PEs draw only while busy."""
    plan = _with(CHAIN, power__pe_peak_w=2.0, power__system_w=1000.0)
    report = simulate(plan, 200)
    spent = energy(plan, report)
    assert spent is not None
    assert spent.system.value == pytest.approx(1000 / report.throughput_samples_per_s)
    busy = sum(s.region.area * s.cycles.total_cycles for s in plan.stages)
    assert spent.busy_pes.value == pytest.approx(2 * busy / plan.clock_hz)
    assert energy(CHAIN, report) is None
    three = replace(plan, totals=replace(plan.totals, wafers_used=3))
    of_three = energy(three, report)
    assert of_three is not None
    assert of_three.system.value == pytest.approx(3 * spent.system.value)
    assert of_three.busy_pes.value == spent.busy_pes.value
