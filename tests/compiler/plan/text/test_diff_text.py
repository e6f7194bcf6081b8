"""Differences of two plans as text: one line per change, changes of one field folded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from helpers.plans import moved
from weft.compiler.plan.document import PlanDocument
from weft.compiler.plan.stage_record import Rectangle
from weft.compiler.plan.text.diff import diff
from weft.compiler.plan.text.diff_text import diff_text

Golden = Callable[[str, str], None]


def test_diff(document: PlanDocument, golden: Golden) -> None:
    other_place = replace(moved(document.stages[1], Rectangle(8, 0, 8, 8)), delay=5)
    other = replace(
        document,
        stages=(document.stages[0], other_place, document.stages[3]),
        edges=document.edges[:-1],
        totals=replace(document.totals, initiation_interval_cycles=1125),
        recipe={"model": {"name": "small"}, "epochs": 3},
    )
    golden("diff.txt", diff_text(diff(document, other)))


def test_changes_alike_are_folded_but_not_lost(document: PlanDocument) -> None:
    """Of four stages and more each field has one line; with `every` each change has its own."""
    slower = tuple(
        replace(
            stage,
            cycles=replace(stage.cycles, update_cycles=(2 + i) * stage.cycles.update_cycles + 1),
        )
        for i, stage in enumerate(document.stages)
    )
    changes = diff(document, replace(document, stages=slower, model="slow"))
    assert len(changes) == 1 + len(slower) > 4
    first, fold, last = diff_text(changes).splitlines()
    assert first == str(changes[0])
    assert fold.startswith(f"~ stages[*].cycles.update_cycles: {len(slower)} times, ")
    assert last.startswith(f"{len(changes)} differences; stages: {len(slower)} changed; ")
    every = diff_text(changes, every=True).splitlines()
    assert every[:-1] == [str(change) for change in changes]


def test_three_changes_alike_have_their_lines(document: PlanDocument) -> None:
    changes = diff(document, replace(document, stages=document.stages[:1]))
    assert len(changes) == len(document.stages) - 1 == 3
    assert diff_text(changes).splitlines()[:-1] == [str(change) for change in changes]


def test_equal_plans_have_no_difference(document: PlanDocument) -> None:
    assert diff(document, replace(document, weft_version="9")) == ()
    assert diff_text(()) == "the plans are equal"
