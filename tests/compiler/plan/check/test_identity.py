"""Rules about names: stages, tensors, files, loss and predictions refer to what exists, once."""

from __future__ import annotations

from weft.compiler.plan.check import check
from weft.compiler.plan.document import PlanDocument
from weft.compiler.targets.load import load_target


def test_the_same_plan_for_another_clock_is_refused(document: PlanDocument) -> None:
    faster = load_target("tiny_mesh", {"clock_hz": "2e9"})
    rules = {violation.rule for violation in check(document, faster)}
    assert rules == {"target-hash", "target-numbers", "provenance"}
