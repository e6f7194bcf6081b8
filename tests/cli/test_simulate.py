"""`weft simulate`: a plan in time."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import weft as api
from weft.sim import simulate
from weft.sim.fabric.level import PHASES

Weft = Callable[..., Any]


def test_simulate_prints_what_the_report_says(weft: Weft, small_plan: Path) -> None:
    data = json.loads(weft("simulate", small_plan, "--samples", 200, "--json").out)
    report = simulate(api.load(small_plan).document, samples=200)
    assert data.items() >= json.loads(json.dumps(report.to_dict())).items()
    assert [entry["stage"] for entry in data["advice"]] == [row.id for row in report.stages]
    assert data["energy"] is None  # tiny_mesh has no powers
    text = weft("simulate", small_plan, "--samples", 200, "--level", "analytic").out
    assert "throughput" in text
    assert report.stages[0].id in text


def test_a_plan_of_another_model_of_the_machine_says_so(
    weft: Weft, small_plan: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "prices" not in weft("simulate", small_plan, "--samples", 9).out
    assert json.loads(weft("simulate", small_plan, "--samples", 9, "--json").out)["prices"] is None
    monkeypatch.setattr("weft.compiler.machine.version.model_digest", lambda: "changed")
    text = weft("simulate", small_plan, "--samples", 9).out
    assert "prices       of another model of the machine" in text
    assert "this one is changed); compile it again" in text


def test_simulate_steps_products_pe_by_pe(weft: Weft, tmp_path: Path) -> None:
    width = "model.options.width=16"
    assert (
        weft("compile", "mlp", "--target", "wse2", "--set", width, "-o", tmp_path / "p").code == 0
    )
    text = weft("simulate", tmp_path / "p", "--samples", 50, "--level", "fabric").out
    assert "fabric level" in text
    data = json.loads(weft("simulate", tmp_path / "p", "--level", "fabric", "--json").out)
    rows = [row for row in data["stepped"] if row["stepped"]]
    assert len(rows) >= 4
    assert all(row["stage"] in text for row in rows)
    phases = {(row["stage"], row["phase"]): row["fabric_cycles"] for row in rows}
    reported = {(row["id"], p): row[f"{p}_cycles"] for row in data["stages"] for p in PHASES}
    assert phases.items() <= reported.items()


def test_simulate_steps_the_small_mesh(weft: Weft, small_plan: Path) -> None:
    """The machine that a first reader is told to try."""
    outcome = weft("simulate", small_plan, "--level", "fabric", "--json")
    assert outcome.code == 0
    assert any(row["stepped"] for row in json.loads(outcome.out)["stepped"])


def test_simulate_cannot_step_a_machine_without_multicast(weft: Weft, tmp_path: Path) -> None:
    assert weft("compile", "mlp", "--target", "dojo_d1", "-o", tmp_path / "p").code == 0
    outcome = weft("simulate", tmp_path / "p", "--level", "fabric")
    assert outcome.code == 2
    assert "dojo_d1, noc.multicast" in outcome.err


def test_simulate_refuses_an_unknown_level(weft: Weft, small_plan: Path) -> None:
    outcome = weft("simulate", small_plan, "--level", "event2")
    assert outcome.code == 2
    assert "did you mean 'event'" in outcome.err
