"""train and demo, on a small perceptron."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import weft as api
from helpers.weft_command import Weft


def test_data_may_be_the_recipes(weft: Weft, small_plan: Path, small_data: Path) -> None:
    """Without --data a run reads what its recipe names, and says so if that is nothing."""
    few = ("train", str(small_plan), "--executor", "reference", "--epochs", "1", "--json")
    done = weft(*few, "--set", f"data={small_data}")
    assert json.loads(done.out)["samples"] == 150
    refused = weft(*few)
    assert refused.code == 2
    assert "--data" in refused.err


def test_train_prints_what_the_run_gave(weft: Weft, small_plan: Path) -> None:
    arguments = ("--data", "digits", "--executor", "reference", "--epochs", "1", "--json")
    faster = ("--set", "optimizer.reference_batch_size=null", "--set", "optimizer.lr=0.005")
    outcome = weft("train", small_plan, *arguments, *faster)
    assert outcome.code == 0, outcome.err
    data = json.loads(outcome.out)
    assert data["samples"] == 1437
    assert data["test_accuracy"] > 0.5
    assert "samples/s" in outcome.err
    assert "weights are not kept: -o DIR" in outcome.err


def test_train_writes_a_trained_plan(
    weft: Weft, small_plan: Path, small_data: Path, tmp_path: Path
) -> None:
    trained = tmp_path / "trained"
    arguments = ("--data", small_data, "--executor", "reference", "--epochs", "1")
    outcome = weft("train", small_plan, *arguments, "-o", trained)
    assert outcome.code == 0, outcome.err
    assert "test accuracy" in outcome.out
    assert "not kept" not in outcome.err
    assert weft("check", trained).code == 0
    before, after = api.load(small_plan).tensors, api.load(trained).tensors
    assert before.keys() == after.keys()
    assert all(not torch.equal(before[name], after[name]) for name in before if "weight" in name)


def test_train_needs_no_source_of_the_model(small_data: Path, tmp_path: Path) -> None:
    source, elsewhere = tmp_path / "source", tmp_path / "elsewhere"
    source.mkdir()
    elsewhere.mkdir()
    (source / "far_away.py").write_text(
        "from torch import nn\n\n\ndef tiny():\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(64, 10))\n"
    )
    inputs = ("--set", "input.shape=[1,8,8]", "--set", "input.classes=10")
    compiling = ("compile", "far_away:tiny", *inputs, "--target", "tiny_mesh", "-o", "../p")
    training = (
        "train",
        "../p",
        "--data",
        str(small_data),
        "--executor",
        "reference",
        "--epochs",
        "1",
    )
    for directory, arguments in ((source, compiling), (elsewhere, training)):
        environment = os.environ | {"PYTHONPATH": str(source) if directory is source else ""}
        command = (sys.executable, "-m", "weft.cli.main", *arguments)
        subprocess.run(command, cwd=directory, env=environment, check=True, capture_output=True)


@pytest.mark.parametrize(
    ("arguments", "given", "known"),
    [
        (("--data", "digit"), "digit", "digits"),
        (("--data", "none.npz"), "none.npz", "npz"),
        (("--data", "digits", "--executor", "jacks"), "jacks", "jax"),
        (("--data", "digits", "--device", "gpu"), "gpu", "cuda"),
        (("--data", "digits", "--executor", "reference", "--device", "tpu"), "tpu", "here: cpu"),
        (("--data", "digits", "--set", "optimizer.name=sgd"), "'sgd'", "sgdm"),
        (("--data", "digits", "--set", "pipeline.compensation=sx"), "sx", "sc"),
    ],
)
def test_mistakes_in_training_get_one_message(
    weft: Weft, small_plan: Path, arguments: tuple[str, ...], given: str, known: str
) -> None:
    outcome = weft("train", small_plan, *arguments)
    assert outcome.code == 2
    assert given in outcome.err
    assert known in outcome.err
    assert "Traceback" not in outcome.err
