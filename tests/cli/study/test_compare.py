from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

Weft = Callable[..., Any]
MODEL = ("compare", "mlp", "--set", "model.options.width=16", "--samples", "50")


def test_table_and_json_agree(weft: Weft) -> None:
    shown = weft(*MODEL, "--targets", "tiny_mesh,h200")
    assert shown.code == 0
    rows = json.loads(weft(*MODEL, "--targets", "tiny_mesh,h200", "--json").out)
    assert [row["target"] for row in rows] == ["tiny_mesh", "h200"]
    assert all(row["fits"] and row["target"] in shown.out for row in rows)
    assert rows[0]["basis"] == "simulated"


def test_mistakes_get_one_message(weft: Weft) -> None:
    for arguments, said in (
        (("--targets", "wse22"), "wse2"),
        (("--dtype", "float8"), "float16"),
    ):
        outcome = weft(*MODEL, *arguments)
        assert outcome.code == 2
        assert said in outcome.err
        assert "Traceback" not in outcome.err


def test_no_plan_for_a_roofline(weft: Weft) -> None:
    outcome = weft("compile", "mlp", "--target", "h200")
    assert outcome.code == 2
    assert "weft compare" in outcome.err


def test_a_target_of_ones_own_starts_from_a_copy(weft: Weft, tmp_path: Path) -> None:
    mine = tmp_path / "mine.yaml"
    text = weft("targets", "show", "tiny_mesh", "--yaml").out
    mine.write_text(text.replace("name: tiny_mesh", "name: mine"))
    rows = json.loads(weft("targets", "show", mine, "--json").out)
    assert rows == json.loads(weft("targets", "show", "tiny_mesh", "--json").out)
    assert weft(*MODEL, "--targets", mine).code == 0


def test_targets_lists_shows_and_checks_rooflines(weft: Weft) -> None:
    assert "roofline" in weft("targets").out
    shown = weft("targets", "show", "h200").out
    assert "memory.bytes_per_s" in shown
    assert "7 memory" in shown
    assert weft("targets", "check").code == 0
