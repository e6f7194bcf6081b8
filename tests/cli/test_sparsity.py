"""`weft sparsity info` on small plans."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Weft = Callable[..., Any]
SMALL = ("compile", "mlp", "--set", "model.options.width=16", "--target", "tiny_mesh")


def test_info_lists_every_sparse_layer_and_names_the_host_time(weft: Weft, tmp_path: Path) -> None:
    assert weft(*SMALL, "--set", "sparsity=0.75", "-o", tmp_path / "p").code == 0
    outcome = weft("sparsity", "info", tmp_path / "p")
    assert outcome.code == 0, outcome.err
    assert "masked dense" in outcome.out
    assert "75.0%" in outcome.out
    layers = json.loads(weft("sparsity", "info", tmp_path / "p", "--json").out)
    assert len(layers) >= 2
    for layer in layers:
        assert layer["requested"] == pytest.approx(layer["actual"], abs=1e-9)
        assert layer["ideal"] == pytest.approx(1 / (1 - layer["actual"]))
        assert layer["host_masked_dense_us"] > 0
        assert not layer["needs_new_map"]


def test_info_without_the_host_and_of_a_dense_plan(weft: Weft, tmp_path: Path) -> None:
    assert weft(*SMALL, "--set", "sparsity=0.5", "-o", tmp_path / "p").code == 0
    outcome = weft("sparsity", "info", tmp_path / "p", "--no-host")
    assert outcome.code == 0
    assert "measured here" not in outcome.out
    assert weft(*SMALL, "-o", tmp_path / "d").code == 0
    assert "every weight of this plan is dense" in weft("sparsity", "info", tmp_path / "d").out


def test_info_of_no_plan_is_a_users_mistake(weft: Weft, tmp_path: Path) -> None:
    outcome = weft("sparsity", "info", tmp_path)
    assert outcome.code == 2
    assert "plan.yaml" in outcome.err
