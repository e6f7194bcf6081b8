"""A plan in a few lines: what a newcomer reads first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from weft.compiler.plan.document import PlanDocument
from weft.compiler.plan.text.summary import summarize

Golden = Callable[[str, str], None]


def test_summary(document: PlanDocument, golden: Golden) -> None:
    golden("summary.txt", summarize(document))


def test_a_few_pes_of_a_wafer_are_more_than_nothing(document: PlanDocument) -> None:
    few = replace(document, totals=replace(document.totals, wafer_share=4e-6))
    assert "(under 0.1 %)" in summarize(few)
    some = replace(document, totals=replace(document.totals, wafer_share=0.0005))
    assert "(0.1 %)" in summarize(some)
