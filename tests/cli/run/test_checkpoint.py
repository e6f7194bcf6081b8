"""weft train --checkpoint and --resume, weft checkpoint."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import weft as api
from helpers.plans_to_train import small_data
from safetensors.torch import load_file
from weft.compiler.recipes.build import build_model
from weft.compiler.recipes.read import make_recipe

Weft = Callable[..., Any]

TRAIN = ("--executor", "reference", "--epochs", "2", "--json")


@pytest.fixture(scope="module")
def small_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    data = small_data()
    path = tmp_path_factory.mktemp("data") / "small.npz"
    arrays = {key: getattr(data, key) for key in ("x_train", "y_train", "x_test", "y_test")}
    np.savez(path, **arrays)
    return path


@pytest.fixture(scope="module")
def run(weft: Weft, small_plan: Path, small_file: Path, tmp_path_factory) -> tuple[Path, dict]:
    """A run that kept its last two checkpoints: their directory, and what it printed."""
    directory = tmp_path_factory.mktemp("run") / "checkpoints"
    options = ("--checkpoint", directory, "--every", "40", "--keep", "2")
    outcome = weft("train", small_plan, "--data", small_file, *TRAIN, *options)
    assert outcome.code == 0, outcome.err
    return directory, json.loads(outcome.out)


def test_list_says_where_checkpoints_stand(weft: Weft, run: tuple[Path, dict]) -> None:
    outcome = weft("checkpoint", "list", run[0], "--json")
    rows = json.loads(outcome.out)
    assert [(row["checkpoint"], row["samples"], row["epochs"]) for row in rows] == [
        ("step-000000080", 80, "1.33"),
        ("step-000000120", 120, "2.00"),
    ]
    assert {row["state"] for row in rows} == {"whole"}


def test_resume_ends_where_the_run_ended(
    weft: Weft, small_plan: Path, small_file: Path, run: tuple[Path, dict], tmp_path: Path
) -> None:
    resume = ("--resume", run[0] / "step-000000080", "--checkpoint", tmp_path / "on", "--json")
    outcome = weft("train", small_plan, "--data", small_file, *resume)
    assert outcome.code == 0, outcome.err
    resumed = json.loads(outcome.out)
    for key in ("accuracies", "test_loss", "mode", "executor"):
        assert resumed[key] == run[1][key]
    assert 0 < resumed["samples"] < run[1]["samples"]
    metrics = [json.loads(line) for line in (run[0] / "metrics.jsonl").read_text().splitlines()]
    assert metrics[-1]["test_loss"] == resumed["test_loss"]


def test_export_is_drained_and_loads_into_the_plain_model(
    weft: Weft, small_plan: Path, small_file: Path, run: tuple[Path, dict], tmp_path: Path
) -> None:
    """From the last checkpoint, before draining, to the weights after it, tested eagerly."""
    trained = tmp_path / "trained"
    options = ("--epochs", "2", "--executor", "reference", "-o", trained)
    assert weft("train", small_plan, "--data", small_file, *options).code == 0
    file = tmp_path / "new" / "weights.safetensors"
    outcome = weft("checkpoint", "export", run[0], "-o", file)
    assert outcome.code == 0, outcome.err
    assert "after 120 samples" in outcome.out
    assert [path.name for path in file.parent.iterdir()] == [file.name]
    weights, expected = load_file(file), api.load(trained).tensors
    assert weights.keys() == expected.keys()
    assert all(torch.equal(weights[name], value) for name, value in expected.items())
    assert weft("checkpoint", "plan", run[0], "-o", tmp_path / "plan").code == 0
    written, whole = api.load(tmp_path / "plan"), api.load(trained)
    assert all(torch.equal(written.tensors[n], value) for n, value in whole.tensors.items())
    assert all(torch.equal(written.masks[n], mask) for n, mask in whole.masks.items())
    plan = api.load(small_plan)
    model, _ = build_model(make_recipe(plan.document.recipe))
    model.load_state_dict(weights)
    data = small_data()
    with torch.no_grad():
        scores = model.eval()(torch.from_numpy(data.x_test))
    loss = torch.nn.functional.cross_entropy(scores, torch.from_numpy(data.y_test))
    assert float(loss) == pytest.approx(run[1]["test_loss"], rel=1e-4)


def test_export_in_flight_differs_from_the_weights_as_they_are(
    weft: Weft, run: tuple[Path, dict], tmp_path: Path
) -> None:
    step, file = run[0] / "step-000000080", tmp_path / "w.safetensors"
    assert weft("checkpoint", "export", step, "-o", file).code == 0
    state, drained = load_file(step / "state.safetensors"), load_file(file)
    changed = [n for n, v in drained.items() if not torch.equal(v, state.get(f"weights/{n}", v))]
    assert changed


def test_damage_has_one_message_and_exit_code_2(
    weft: Weft, small_plan: Path, small_file: Path, tmp_path: Path
) -> None:
    options = ("--checkpoint", tmp_path / "c", "--every", "50")
    assert weft("train", small_plan, "--data", small_file, *TRAIN, *options).code == 0
    file = tmp_path / "c" / "step-000000120" / "state.safetensors"
    file.write_bytes(file.read_bytes()[:-9])
    outcome = weft("train", small_plan, "--data", small_file, "--resume", tmp_path / "c")
    assert outcome.code == 2
    assert str(file) in outcome.err
    assert f"--resume {tmp_path / 'c' / 'step-000000100'}" in outcome.err
    listed = weft("checkpoint", "list", tmp_path / "c").out
    assert listed.count("whole") == 2
    assert listed.count("damaged") == 1
    nothing = weft("checkpoint", "list", tmp_path)
    assert nothing.code == 2
    assert "step-NUMBER" in nothing.err


def test_termination_writes_a_checkpoint_and_says_how_to_go_on(
    small_plan: Path, small_file: Path, tmp_path: Path
) -> None:
    """SIGTERM, as a job scheduler sends it, to a process of its own."""
    directory = tmp_path / "c"
    command = [sys.executable, "-m", "weft.cli.main", "train", str(small_plan)]
    command += ["--data", str(small_file), "--executor", "reference", "--epochs", "100000"]
    command += ["--checkpoint", str(directory), "--every", "20"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=dict(os.environ))
    deadline = time.monotonic() + 120
    while not list(directory.glob("step-*")) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert f"--resume {directory}/step-" in errors
    assert "Traceback" not in errors
