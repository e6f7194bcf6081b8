"""`weft bench sparsity`: sparse training beside dense."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("jax")


pytest.importorskip("sklearn")


Weft = Callable[..., Any]


def test_sparsity_trains_every_algorithm_and_goes_on_from_its_records(
    weft: Weft, tmp_path: Path
) -> None:
    records, document = tmp_path / "records.jsonl", tmp_path / "sparsity.md"
    small = ("bench", "sparsity", "--seeds", "1", "--epochs", "1", "--level", "0.8")
    small += ("--set", "model=mlp", "--set", "model.options.width=16", "--set", "target=tiny_mesh")
    outcome = weft(*small, "--records", records, "--write", document, "--json")
    assert outcome.code == 0, outcome.err
    found = json.loads(outcome.out)["records"]
    assert [r["method"] for r in found] == ["dense", "static 0.8", "set 0.8", "rigl 0.8"]
    assert len({r["loss"] for r in found}) == 4
    assert "| 80 % | rigl |" in document.read_text()
    again = weft(*small, "--records", records)
    assert again.code == 0, again.err
    assert len(records.read_text().splitlines()) == 4
    assert "points to dense" in again.out
    wrong = weft(*small, "--algorithm", "gmp", "--records", records)
    assert wrong.code == 2
    assert "--algorithm" in wrong.err
