"""Summary, text form and difference of plans; golden files are rewritten by --rewrite-golden."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from helpers.plans import moved
from weft.backend.errors import UnknownNameError
from weft.compiler.plan.document import PlanDocument
from weft.compiler.plan.stage_record import Rectangle
from weft.compiler.plan.text.diff import diff
from weft.compiler.plan.text.diff_text import diff_text
from weft.compiler.plan.text.numbers import duration, quantity, table
from weft.compiler.plan.text.show import show, show_stage
from weft.compiler.plan.text.summary import summarize

Golden = Callable[[str, str], None]


def test_summary(document: PlanDocument, golden: Golden) -> None:
    golden("summary.txt", summarize(document))


def test_show(document: PlanDocument, golden: Golden) -> None:
    golden("show.txt", show(_unhashed(document)))


def test_show_stage(document: PlanDocument, golden: Golden) -> None:
    golden("show_stage.txt", show_stage(document, "1"))
    assert show_stage(document, "layer.conv") == show_stage(document, "1")


def test_a_stage_says_if_its_rows_are_interleaved(document: PlanDocument) -> None:
    stages = list(document.stages)
    assert "interleaved" not in show_stage(document, "1")
    stages[1] = moved(stages[1], tiling=replace(stages[1].tiling, interleaved=True))
    shown = show_stage(replace(document, stages=tuple(stages)), "1")
    assert "4 input slices x 2 position slices down the rows, interleaved, 8 output slices" in shown


def test_an_unknown_stage_is_named_with_the_closest_first(document: PlanDocument) -> None:
    with pytest.raises(UnknownNameError, match=r"did you mean 'layer\.conv'"):
        show_stage(document, "layer.conf")


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


def test_a_difference_reads_backwards_too(document: PlanDocument) -> None:
    other = replace(document, stages=document.stages[1:], model="tiny")
    mirror = {"+": "-", "-": "+", "~": "~"}
    there = [(mirror[c.kind], c.where, c.after, c.before) for c in diff(document, other)]
    back = [(c.kind, c.where, c.before, c.after) for c in diff(other, document)]
    assert sorted(map(repr, there)) == sorted(map(repr, back))


@pytest.mark.parametrize(
    ("value", "text"), [(1234567, "1.23 M"), (12, "12"), (2.5e9, "2.5 G"), (0, "0")]
)
def test_quantities(value: float, text: str) -> None:
    assert quantity(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(2.5, "2.5 s"), (1.2e-3, "1.2 ms"), (5e-6, "5 us"), (3e-9, "3 ns")]
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_tables_align_numbers_right() -> None:
    assert table(("a", "n"), [("x", 5), ("long", 1234)]) == (
        "a         n\n----  -----\nx         5\nlong  1,234"
    )


def _unhashed(document: PlanDocument) -> PlanDocument:
    """The hash changes with every constant of the target; the text does not hang on it."""
    return replace(document, target_hash="0" * 64)
