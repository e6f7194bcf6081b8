"""`weft validate` from the command line: which options go together."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

Weft = Callable[..., Any]


def test_several_sets_are_all_taken_each_once(weft: Weft) -> None:
    outcome = weft("validate", *("--set", "reduce", "--set", "summa", "--set", "reduce"), "--json")
    assert outcome.code == 0
    points = json.loads(outcome.out)["points"]
    assert [point["set_name"] for point in points] == ["reduce"] * 6 + ["summa"] * 4


@pytest.mark.parametrize(
    ("option", "other"),
    [
        (("--holdout",), ("--set", "gemv")),
        (("--holdout",), ("--target", "wse2")),
        (("--error-bars", "rows.csv"), ("--constant", "noc.hop_cycles=1")),
        (("--error-bars", "rows.csv"), ("--rows",)),
        (("--file", "mine.csv"), ("--set", "gemv")),
    ],
)
def test_options_without_an_effect_are_refused(weft: Weft, option, other) -> None:
    outcome = weft("validate", *option, *other)
    assert outcome.code == 2
    assert f"expected: {option[0]} without {other[0]}" in outcome.err
    assert "Traceback" not in outcome.err
