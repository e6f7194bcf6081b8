"""`weft bench training`: training with delayed gradients, compared."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("jax")


pytest.importorskip("sklearn")


Weft = Callable[..., Any]


SMALL = (
    *("bench", "training", "-e", "digits", "--method", "none", "--method", "sequential"),
    *("--factor", "2", "--seeds", "2", "--epochs", "1", "--set", "model=mlp"),
    *("--set", "model.options.width=16", "--set", "target=tiny_mesh"),
)


def test_training_measures_and_writes_as_it_goes(weft: Weft, tmp_path: Path) -> None:
    records, document = tmp_path / "records.jsonl", tmp_path / "evidence.md"
    outcome = weft(*SMALL, "--records", records, "--write", document, "--json")
    assert outcome.code == 0, outcome.err
    found = json.loads(outcome.out)
    assert len(found["records"]) == 4
    assert {r["method"] for r in found["records"]} == {"none", "sequential"}
    assert found["quadratic"] == []
    assert found["records"] == [json.loads(line) for line in records.read_text().splitlines()]
    page = document.read_text()
    assert "| batch 1 | 0 |" in page
    assert "lr 0.0002" in page
    assert sorted(tmp_path.iterdir()) == [document, records]

    again = weft(*SMALL, "--records", records)
    assert again.code == 0, again.err
    assert len(records.read_text().splitlines()) == 4
    assert "PB" in again.out
    assert "batch 1" in again.out


@pytest.mark.parametrize(("option", "value"), [("-e", "nothing"), ("--method", "nothing")])
def test_unknown_names_are_a_users_mistake(weft: Weft, option: str, value: str) -> None:
    outcome = weft("bench", "training", option, value)
    assert outcome.code == 2
    assert "nothing" in outcome.err


def test_a_page_without_a_folder_fails_before_anything_runs(weft: Weft, tmp_path: Path) -> None:
    outcome = weft(*SMALL, "--records", tmp_path / "r.jsonl", "--write", tmp_path / "no" / "e.md")
    assert outcome.code == 2
    assert not (tmp_path / "r.jsonl").exists()
