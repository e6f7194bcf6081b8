"""`weft bench`, on little."""

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


def test_normalizations_are_timed(weft: Weft) -> None:
    outcome = weft("bench", "norm", "--rounds", "1", "--json")
    assert outcome.code == 0, outcome.err
    rows = json.loads(outcome.out)
    assert rows[0]["input"] == "1x64x32x32"
    assert all(row["ratio"] > 0 for row in rows)


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


def test_remap_prices_the_masks_of_every_epoch(weft: Weft) -> None:
    small = ("bench", "remap", "--epochs", "1", "--set", "model=mlp", "--algorithm", "set")
    small += ("--set", "model.options.width=16", "--set", "target=tiny_mesh")
    outcome = weft(*small, "--json")
    assert outcome.code == 0, outcome.err
    start, end = json.loads(outcome.out)
    assert (start["samples"], end["samples"]) == (0, 1437)
    assert start["as_planned"] == start["new_map"]
    assert start["first_kept"] == start["rebalanced"] <= start["as_planned"]
    assert start["growth"] == 1 != end["growth"]
    assert end["rebalanced"] <= end["as_planned"]
    wrong = weft("bench", "remap", "--algorithm", "gmp")
    assert wrong.code == 2


def test_coverage_is_a_row_per_model(weft):
    pytest.importorskip("transformers", reason="needs transformers")
    outcome = weft("bench", "coverage", "transformers/dinov2", "--json")
    (row,) = json.loads(outcome.out)
    assert outcome.code == 0
    assert row["name"] == "transformers/dinov2"
    assert row["reason"] == ""
    assert 0 < row["distinct"] < row["stages"]


def test_coverage_that_fails_says_why_and_exits_with_one(weft):
    pytest.importorskip("transformers", reason="needs transformers")
    outcome = weft("bench", "coverage", "transformers/dinov2", "--target", "tiny_mesh")
    assert outcome.code == 1
    assert "InfeasibleError" in outcome.out
    assert "0 of 1 sound" in outcome.out


def test_coverage_of_an_unknown_model_is_refused(weft):
    outcome = weft("bench", "coverage", "timm/resnet_of_tomorrow")
    assert outcome.code == 2
    assert "weft bench coverage --list" in outcome.err


def test_coverage_lists_enough_architectures(weft):
    names = weft("bench", "coverage", "--list").out.split()
    assert sum(name.startswith("timm/") for name in names) >= 60
    assert sum(name.startswith("transformers/") for name in names) >= 25


def test_compile_measures_each_model_in_its_own_process(weft):
    pytest.importorskip("torchvision", reason="needs torchvision")
    outcome = weft("bench", "compile", "resnet50", "--json")
    (row,) = json.loads(outcome.out)
    assert outcome.code == 0
    assert row["parameters"] > 25_000_000
    assert set(row["seconds"]) >= {"capture", "cut", "map"}


def test_equality_is_told_in_both_types(weft: Weft) -> None:
    few = ("--samples", "5", "--compensation", "sc", "--masks", "static")
    outcome = weft("bench", "equality", *few, "--json")
    assert outcome.code == 0, outcome.err
    [row] = json.loads(outcome.out)
    assert (row["rule"], row["compensation"], row["masks"]) == ("sgdm", "sc", "static")
    assert 0 < float(row["weights"]) < 1e-5
    assert 0 < float(row["float64"]) < 1e-13
    assert 0 < float(row["nudged"]) < 1e-13


@pytest.mark.parametrize("option", ["--model", "--compensation", "--masks"])
def test_equality_refuses_unknown_names(weft: Weft, option: str) -> None:
    outcome = weft("bench", "equality", option, "nothing")
    assert outcome.code == 2
    assert "nothing" in outcome.err
