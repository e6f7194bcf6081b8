"""`weft explain`: figures, what they are made of, and the measured rows behind them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import weft as api

Weft = Callable[..., Any]


def test_evidence_of_assumed_constants(weft: Weft, small_plan: Path) -> None:
    outcome = weft("explain", small_plan, "--evidence")
    assert outcome.code == 0
    assert "assumed constants alone" in outcome.out
    assert "noc.hop_cycles (assumed)" in outcome.out
    assert "measured rows behind" not in outcome.out


def test_evidence_lists_terms_and_the_rows_behind_them(weft: Weft, tmp_path: Path) -> None:
    directory = tmp_path / "p"
    assert weft("compile", "mlp", "-o", directory).code == 0
    text = weft("explain", directory, "--evidence").out
    assert api.load(directory).summary().splitlines()[2].split("(")[1].split(")")[0] in text
    assert "measured rows behind 'collective'" in text
    assert "energy of busy PEs" in text
    data = json.loads(weft("explain", directory, "--evidence", "--json").out)
    throughput = data["throughput"]
    assert throughput["low"] < throughput["value"] < throughput["high"]
    parts = [t["share"] for t in throughput["terms"] if t["mechanism"] != "whole plan"]
    assert abs(sum(parts) - 1) < 1e-9
    sets = {row["set_name"] for term in throughput["terms"] for row in term["rows"]}
    assert {"reduce", "gemv", "sparse_speedup", "training"} <= sets


def test_json_of_other_verbs_has_error_bars(weft: Weft, small_plan: Path) -> None:
    data = json.loads(weft("simulate", small_plan, "--samples", 100, "--json").out)
    low, high = data["error_bars"]["throughput_samples_per_s"]
    assert low < data["throughput_samples_per_s"] < high


def test_a_plan_that_is_none(weft: Weft, tmp_path: Path) -> None:
    outcome = weft("explain", tmp_path, "--evidence")
    assert outcome.code == 2
    assert "Traceback" not in outcome.err


def test_objectives(weft: Weft, small_plan: Path, tmp_path: Path) -> None:
    refused = weft("explain", small_plan, "--objective", "area")
    assert refused.code == 2
    assert "constants assumed" in refused.err
    directory = tmp_path / "p"
    assert weft("compile", "mlp", "-o", directory).code == 0
    assert (
        "least product of PEs and cycles" in weft("explain", directory, "--objective", "area").out
    )
    assert weft("explain", directory, "--objective", "energy").code == 2
    data = json.loads(weft("explain", directory, "--json").out)
    assert data["falls"][0]["steps"][0]["terms"]["work"] > 0
    assert data["rows"][0]["name"] == "as it is"
