"""What changed between two plans, field by field; stages are matched by id."""

from __future__ import annotations

from dataclasses import replace

from weft.compiler.plan.document import PlanDocument
from weft.compiler.plan.text.diff import diff


def test_a_difference_reads_backwards_too(document: PlanDocument) -> None:
    other = replace(document, stages=document.stages[1:], model="tiny")
    mirror = {"+": "-", "-": "+", "~": "~"}
    there = [(mirror[c.kind], c.where, c.after, c.before) for c in diff(document, other)]
    back = [(c.kind, c.where, c.before, c.after) for c in diff(other, document)]
    assert sorted(map(repr, there)) == sorted(map(repr, back))
