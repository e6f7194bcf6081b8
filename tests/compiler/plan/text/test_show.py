"""Summary, text form and difference of plans; golden files are rewritten by --rewrite-golden."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from helpers.plans import moved
from weft.backend.errors import UnknownNameError
from weft.compiler.plan.document import PlanDocument
from weft.compiler.plan.text.show import show, show_stage

Golden = Callable[[str, str], None]


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


def _unhashed(document: PlanDocument) -> PlanDocument:
    """The hash changes with every constant of the target; the text does not hang on it."""
    return replace(document, target_hash="0" * 64)
