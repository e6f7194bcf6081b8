"""Notes beside an answer: on standard error, and only where there is something to know."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Weft = Callable[..., Any]
READERS = ("show",), ("check",), ("explain", "--evidence"), ("explain", "--objective", "area")


@pytest.mark.parametrize("words", READERS, ids=" ".join)
def test_readers_say_whether_cycles_are_of_another_model(
    weft: Weft, small_plan: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    assert "cycles of" not in weft(*words, small_plan).err
    monkeypatch.setattr("weft.compiler.machine.version.model_digest", lambda: "changed")
    outcome = weft(*words, small_plan)
    assert f"note: the cycles of {small_plan} are of another model of the machine" in outcome.err
    assert "this one is changed); compile it again for today's" in outcome.err
    assert "note" not in outcome.out


def test_a_comparison_names_each_plan_of_another_model(
    weft: Weft, small_plan: Path, plan: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("weft.compiler.machine.version.model_digest", lambda: "changed")
    outcome = weft("diff", small_plan, plan)
    assert f"the cycles of {small_plan} are" in outcome.err
    assert f"the cycles of {plan} are" in outcome.err
