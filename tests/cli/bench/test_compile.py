"""`weft bench compile`: time and memory of compiling large models."""

from __future__ import annotations

import json

import pytest

pytest.importorskip("jax")


pytest.importorskip("sklearn")


def test_compile_measures_each_model_in_its_own_process(weft):
    pytest.importorskip("torchvision", reason="needs torchvision")
    outcome = weft("bench", "compile", "resnet50", "--json")
    (row,) = json.loads(outcome.out)
    assert outcome.code == 0
    assert row["parameters"] > 25_000_000
    assert set(row["seconds"]) >= {"capture", "cut", "map"}
