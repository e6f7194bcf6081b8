"""Two processes train one plan together; and what is refused before any work is done."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import weft
from helpers.plans_to_train import small_data, small_plan
from weft.backend.errors import UserError
from weft.compiler.plan.plan import Plan
from weft.runtime.checkpoint import found_in
from weft.runtime.data import Dataset
from weft.runtime.jax.shards.processes import join

pytest.importorskip("jax")

# One rounding of float32 is 6e-8; 120 updates feed it back into the weights.
FLOAT32 = 1e-5


@pytest.fixture(scope="module")
def plan() -> Plan:
    return small_plan()


def saved(data: Dataset, path: Path) -> Path:
    arrays = ("x_train", "y_train", "x_test", "y_test")
    np.savez(path, **{name: getattr(data, name) for name in arrays})
    return path


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def start(directory: Path, port: int, number: int) -> subprocess.Popen[str]:
    """Process `number` of two; each would write to a place of its own, if it wrote."""
    own = directory / str(number)
    command = [sys.executable, "-m", "weft.cli.main", "train", directory / "plan"]
    command += ["--data", directory / "data.npz", "--epochs", 2, "--json"]
    command += ["--coordinator", f"127.0.0.1:{port}", "--process", f"{number}/2"]
    command += ["--checkpoint", own / "checkpoints", "--every", 45, "-o", own / "trained"]
    return subprocess.Popen(
        [str(part) for part in command],
        env={**os.environ, "XLA_FLAGS": "--xla_backend_optimization_level=0"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_two_processes_train_as_one(plan: Plan, tmp_path: Path) -> None:
    data = small_data()
    plan.save(tmp_path / "plan")
    saved(data, tmp_path / "data.npz")
    port = free_port()
    processes = [start(tmp_path, port, number) for number in range(2)]
    outputs = [process.communicate(timeout=400) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], outputs
    expected = weft.train(plan, data, executor="reference", epochs=2)
    report = json.loads(outputs[0][0])
    assert report["samples"] == 120
    assert report["test_accuracy"] == pytest.approx(expected.scores[-1].accuracy)
    assert outputs[1][0] == ""
    got = weft.load(tmp_path / "0" / "trained").tensors
    for name, value in expected.tensors.items():
        assert (got[name] - value).norm() <= FLOAT32 * value.norm(), name
    assert len(found_in(tmp_path / "0" / "checkpoints")) == 3
    assert not (tmp_path / "1").exists()


def test_more_devices_than_there_are_are_refused(plan: Plan) -> None:
    with pytest.raises(UserError, match=r"4 devices\n.*at most the 1 \(cpu\)(.|\n)*XLA_FLAGS"):
        weft.train(plan, small_data(), devices=4)


def test_more_devices_than_stages_are_refused(plan: Plan) -> None:
    with pytest.raises(UserError, match=f"1 to {len(plan.stages)} devices"):
        weft.train(plan, small_data(), devices=99)


@pytest.mark.parametrize("other", [{"executor": "reference"}, {"mode": "sequential"}])
def test_devices_are_for_the_pipeline_in_jax(plan: Plan, other: dict[str, str]) -> None:
    with pytest.raises(UserError, match="executor jax in mode pipelined"):
        weft.train(plan, small_data(), devices=2, **other)


@pytest.mark.parametrize("process", [None, "2/2", "one/two", "1"])
def test_a_process_says_which_it_is(process: str | None) -> None:
    with pytest.raises(UserError, match=r"--process 0/2"):
        join("127.0.0.1:1", process)


@pytest.mark.parametrize("coordinator", [None, "node0", "node0:", ":8476", "node0:http"])
def test_a_coordinator_has_a_host_and_a_port(coordinator: str | None) -> None:
    with pytest.raises(UserError, match=r"--coordinator HOST:PORT"):
        join(coordinator, "0/2")


@pytest.mark.parametrize(("device", "change"), [("gpu", "--device cuda"), ("cda", "mean 'cuda'")])
def test_unknown_devices_are_refused_with_the_known_one_meant(
    plan: Plan, device: str, change: str
) -> None:
    with pytest.raises(UserError, match=f"unknown device(.|\n)*{change}"):
        weft.train(plan, small_data(), device=device)
