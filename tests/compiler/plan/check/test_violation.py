"""What a check rule sees and what it says."""

from __future__ import annotations

from dataclasses import replace

from weft.compiler.plan.check import RULES, check
from weft.compiler.plan.document import PlanDocument


def test_a_violation_reads_as_one_line(document: PlanDocument) -> None:
    stage = replace(document.stages[1], delay=3)
    broken = replace(document, stages=(document.stages[0], stage, *document.stages[2:]))
    assert list(map(str, check(broken))) == ["delay: layer.conv.delay: expected 4, got 3"]


def test_every_rule_says_what_it_demands() -> None:
    assert all(rule.__doc__ for rule in RULES.values())
