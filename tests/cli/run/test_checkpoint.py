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

from helpers.weft_command import TRAIN

Weft = Callable[..., Any]


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
