"""`weft targets`: the machines weft knows, their constants, and their peak arithmetic."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

Weft = Callable[..., Any]


def test_targets_show_says_where_each_constant_is_from(weft: Weft) -> None:
    rows = json.loads(weft("targets", "show", "wse2", "--json").out)
    assert all(row["source"] and row["confidence"] for row in rows)
    assert {"clock_hz", "noc.hop_cycles"} <= {row["constant"] for row in rows}
    assert "published" in weft("targets", "show", "wse2").out


def test_targets_check_redoes_the_peak_arithmetic(weft: Weft) -> None:
    outcome = weft("targets", "check", "--json")
    assert outcome.code == 0
    rows = json.loads(outcome.out)
    assert {row["target"] for row in rows} >= {"wse2", "wse3"}
    assert all(row["passed"] for row in rows)


def test_targets_check_fails_with_exit_code_1(weft: Weft, tmp_path: Path) -> None:
    from importlib import resources

    text = (resources.files("weft.compiler.targets") / "wse2.yaml").read_text()
    file = tmp_path / "boast.yaml"
    file.write_text(
        text.replace("advertised_cores: {value: 850000", "advertised_cores: {value: 85")
    )
    assert weft("targets", "check", file).code == 1
