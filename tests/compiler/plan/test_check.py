from __future__ import annotations

from dataclasses import replace

from weft.compiler.plan.check import RULES, check
from weft.compiler.plan.document import PlanDocument
from weft.compiler.plan.plan import Plan
from weft.compiler.targets.load import load_target
from weft.compiler.targets.target import Target


def test_a_valid_plan_breaks_no_rule(document: PlanDocument, target: Target) -> None:
    assert check(document, target) == ()


def test_a_compiled_network_breaks_no_rule(compiled: Plan, wse2: Target) -> None:
    assert check(compiled.document, wse2, compiled.programs) == ()


def test_the_same_plan_for_another_clock_is_refused(document: PlanDocument) -> None:
    faster = load_target("tiny_mesh", {"clock_hz": "2e9"})
    rules = {violation.rule for violation in check(document, faster)}
    assert rules == {"target-hash", "target-numbers", "provenance"}


def test_a_violation_reads_as_one_line(document: PlanDocument) -> None:
    stage = replace(document.stages[1], delay=3)
    broken = replace(document, stages=(document.stages[0], stage, *document.stages[2:]))
    assert list(map(str, check(broken))) == ["delay: layer.conv.delay: expected 4, got 3"]


def test_every_rule_says_what_it_demands() -> None:
    assert all(rule.__doc__ for rule in RULES.values())
