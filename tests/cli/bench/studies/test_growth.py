"""`weft bench growth`: growth where a plan has room, beside free growth."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("jax")


pytest.importorskip("sklearn")


Weft = Callable[..., Any]


def test_growth_at_the_plan_s_pace_keeps_its_interval(weft: Weft, tmp_path: Path) -> None:
    small = (
        "bench",
        "growth",
        "--epochs",
        "1",
        "--seeds",
        "1",
        "--level",
        "0.9",
        "--algorithm",
        "set",
    )
    small += ("--set", "model=mlp", "--set", "model.options.width=16", "--set", "target=tiny_mesh")
    page, records = tmp_path / "page.md", tmp_path / "rows.jsonl"
    outcome = weft(*small, "--records", str(records), "--write", str(page), "--json")
    assert outcome.code == 0, outcome.err
    rows = json.loads(outcome.out)["rows"]
    assert [(row["algorithm"], row["growth"]) for row in rows] == [
        (algorithm, growth) for algorithm in ("set",) for growth in ("free", "room", "pace")
    ]
    for row in rows:
        assert row["remap"] > 0
        if row["growth"] == "free":
            assert row["refused"] == 0 < row["fullest"]
        if row["growth"] == "pace":
            assert row["fullest"] <= 1
            assert row["as_planned"] <= row["planned"]
            assert row["refused"] > 0
    assert page.read_text().count("| 90 % |") == 3
    again = weft(*small, "--records", str(records), "--json")
    assert json.loads(again.out)["rows"] == rows
