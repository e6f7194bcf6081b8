from __future__ import annotations

from weft.compiler.plan.check import check
from weft.compiler.plan.document import PlanDocument
from weft.compiler.plan.plan import Plan
from weft.compiler.targets.target import Target


def test_a_valid_plan_breaks_no_rule(document: PlanDocument, target: Target) -> None:
    assert check(document, target) == ()


def test_a_compiled_network_breaks_no_rule(compiled: Plan, wse2: Target) -> None:
    assert check(compiled.document, wse2, compiled.programs) == ()
