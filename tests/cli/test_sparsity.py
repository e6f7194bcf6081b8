"""`weft sparsity info` on small plans."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from weft.compiler.plan.store import load

Weft = Callable[..., Any]
SMALL = ("compile", "mlp", "--set", "model.options.width=16", "--target", "tiny_mesh")


def test_info_lists_every_sparse_layer_and_names_the_host_time(weft: Weft, tmp_path: Path) -> None:
    assert weft(*SMALL, "--set", "sparsity=0.75", "-o", tmp_path / "p").code == 0
    outcome = weft("sparsity", "info", tmp_path / "p")
    assert outcome.code == 0, outcome.err
    assert "masked dense" in outcome.out
    assert "75.0%" in outcome.out
    plan = load(tmp_path / "p")
    slowest = max(plan.document.stages, key=lambda stage: stage.cycles.total_cycles)
    interval = plan.document.totals.initiation_interval_cycles
    assert f"these zeros: {interval:,} cycles per sample" in outcome.out
    assert f"slowest stage {slowest.id}," in outcome.out
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
    assert "host us" not in outcome.out
    assert "whole plan" in outcome.out
    assert weft(*SMALL, "-o", tmp_path / "d").code == 0
    assert "every weight of this plan is dense" in weft("sparsity", "info", tmp_path / "d").out


def test_info_of_no_plan_is_a_users_mistake(weft: Weft, tmp_path: Path) -> None:
    outcome = weft("sparsity", "info", tmp_path)
    assert outcome.code == 2
    assert "plan.yaml" in outcome.err


def growing_plan(weft: Weft, directory: Path) -> Path:
    """A plan whose masks grow denser, on a machine with little memory; and data for it."""
    gmp = (
        "{algorithm: gmp, sparsity: {type: linear, init: 0.9, slope: -0.01},"
        " update: {freq: 5, stop: 60}}"
    )
    keys = ("target.overrides={sram.bytes_per_pe: '3000'}", f"sparsity={gmp}", "epochs=1")
    settings = [part for key in keys for part in ("--set", key)]
    assert weft(*SMALL, *settings, "-o", directory / "p").code == 0
    rng = np.random.default_rng(0)
    x, y = rng.random((80, 1, 8, 8), np.float32), rng.integers(0, 10, 80)
    np.savez(directory / "d.npz", x_train=x, y_train=y, x_test=x[:5], y_test=y[:5])
    return directory / "p"


def test_train_says_that_a_new_map_is_needed_and_info_of_the_trained_plan_agrees(
    weft: Weft, tmp_path: Path
) -> None:
    plan = growing_plan(weft, tmp_path)
    train = ("train", plan, "--data", tmp_path / "d.npz", "--executor", "reference")
    told = weft(*train, "-o", tmp_path / "q")
    assert told.code == 0, told.err
    assert "new map needed" in told.out
    assert "stages that need a new map: 1" in told.err
    (new,) = json.loads(weft(*train, "--json").out)["new_maps"]
    assert f"{new['needed_bytes']:,} of {new['capacity_bytes']:,} bytes" in told.out
    layers = json.loads(weft("sparsity", "info", tmp_path / "q", "--json").out)
    assert [layer["stage"] for layer in layers if layer["needs_new_map"]] == [new["stage"]]
    assert "new map" in weft("sparsity", "info", tmp_path / "q", "--no-host").out
    remapped = weft("sparsity", "remap", tmp_path / "q", "-o", tmp_path / "r")
    assert remapped.code == 0, remapped.err
    assert "stands still for" in remapped.out
    assert "new map" not in weft("sparsity", "info", tmp_path / "r", "--no-host").out
    assert weft("check", tmp_path / "r").code == 0
    stopped = weft(*train, "--set", "training.new_map=stop")
    assert stopped.code == 2
    assert new["stage"] in stopped.err


def test_remap_says_that_there_are_no_masks_and_what_was_replaced(
    weft: Weft, tmp_path: Path
) -> None:
    assert weft("compile", "mlp", "-o", tmp_path / "p").code == 0
    beside = weft("sparsity", "remap", tmp_path / "p", "-o", tmp_path / "q")
    assert "no masks" in beside.out
    assert "stands still" not in beside.out
    assert f"weft diff {tmp_path / 'p'} {tmp_path / 'q'}" in beside.out
    onto = weft("sparsity", "remap", tmp_path / "p", "-o", tmp_path / "p")
    assert onto.code == 0, onto.err
    assert "in place of the old one" in onto.out
    assert "weft diff" not in onto.out
