"""`weft bench coverage`: which architectures compile."""

from __future__ import annotations

import json

import pytest

pytest.importorskip("jax")


pytest.importorskip("sklearn")


def test_coverage_is_a_row_per_model(weft):
    pytest.importorskip("transformers", reason="needs transformers")
    outcome = weft("bench", "coverage", "transformers/dinov2", "--json")
    (row,) = json.loads(outcome.out)
    assert outcome.code == 0
    assert row["name"] == "transformers/dinov2"
    assert row["reason"] == ""
    assert 0 < row["distinct"] < row["stages"]


def test_coverage_of_stages_alone_is_kept_and_gone_on_from(weft, tmp_path):
    pytest.importorskip("transformers", reason="needs transformers")
    arguments = ("bench", "coverage", "transformers/dinov2", "--stages-only")
    arguments = (*arguments, "--out", tmp_path / "rows.jsonl", "--json")
    (row,) = json.loads(weft(*arguments).out)
    assert (row["witness"], row["reason"], row["zeros"]) == ("float64", "", 0)
    assert not row["has_plan"]
    assert row["gradients"] > 40
    assert json.loads(weft(*arguments).out) == [row]
    assert len((tmp_path / "rows.jsonl").read_text().splitlines()) == 1


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
