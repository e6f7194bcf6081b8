"""A plan in a few lines: what a newcomer reads first."""

from __future__ import annotations

from collections.abc import Callable

from weft.compiler.plan.document import PlanDocument
from weft.compiler.plan.text.summary import summarize

Golden = Callable[[str, str], None]


def test_summary(document: PlanDocument, golden: Golden) -> None:
    golden("summary.txt", summarize(document))
