"""The Slurm script of docs/cluster.md, with local processes in place of nodes."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import weft
from helpers.plans_to_train import small_data, small_plan

pytest.importorskip("jax")

PAGE = Path(__file__).parents[4] / "docs" / "cluster.md"
FLOAT32 = 1e-3
"""One rounding is 6e-8; 1,800 small updates feed it back into the weights."""
SRUN = """\
#!{python}
# Starts $TASKS copies of a command as Slurm would, and passes SIGTERM on to them.
import os, signal, subprocess, sys
count = int(os.environ["TASKS"])
told = dict(SLURM_STEP_NODELIST="localhost", SLURM_NTASKS=str(count), SLURM_LOCALID="0",
            SLURM_STEP_NUM_NODES=str(count))
tasks = [subprocess.Popen([sys.executable, "-m", "weft.cli.main", *sys.argv[2:]],
                          env=os.environ | told | dict(SLURM_PROCID=str(n))) for n in range(count)]
signal.signal(signal.SIGTERM, lambda *_: [task.terminate() for task in tasks])
sys.exit(max(task.wait() for task in tasks))
"""


def submit(directory: Path, tasks: int, job: int) -> subprocess.Popen[str]:
    """The script of the page as Slurm would start it, on so many tasks."""
    (script,) = re.findall(r"```bash\n(.*?)```", PAGE.read_text(), re.DOTALL)
    (directory / "job.sh").write_text(script)
    for name, text in (
        ("srun", SRUN.format(python=sys.executable)),
        ("scontrol", '#!/bin/sh\necho "$@" > requeued\n'),
    ):
        (directory / name).write_text(text)
        (directory / name).chmod(0o755)
    path = f"{directory}:{os.environ['PATH']}"
    own = {"TASKS": str(tasks), "SLURM_JOB_ID": str(job), "EVERY": "60", "DATA": "data.npz"}
    flags = {"XLA_FLAGS": "--xla_backend_optimization_level=0"}
    return subprocess.Popen(
        ["bash", "job.sh"],
        cwd=directory,
        env={**os.environ, **own, **flags, "PATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def test_a_job_is_stopped_requeued_and_ends_on_fewer_tasks(tmp_path: Path) -> None:
    data, plan = small_data(), small_plan()
    recipe = {**plan.document.recipe, "epochs": 30}
    recipe["optimizer"] |= {"lr": 1e-4}
    weft.compile_recipe(weft.Recipe.model_validate(recipe)).save(tmp_path / "plan")
    arrays = ("x_train", "y_train", "x_test", "y_test")
    np.savez(tmp_path / "data.npz", **{name: getattr(data, name) for name in arrays})
    first = submit(tmp_path, 2, os.getpid())
    while not list((tmp_path / "run").glob("step-*")) and first.poll() is None:
        time.sleep(0.05)
    tasks = subprocess.run(
        ["pgrep", "-f", str(tmp_path / "srun")], capture_output=True, text=True, check=False
    ).stdout.split()
    os.kill(int(tasks[0]), signal.SIGTERM)
    said = first.communicate(timeout=300)[0]
    assert first.returncode == 130, said
    assert (tmp_path / "requeued").read_text() == f"requeue {os.getpid()}\n"
    assert not (tmp_path / "run-trained").exists()
    second = submit(tmp_path, 1, os.getpid() + 1)
    said = second.communicate(timeout=300)[0]
    assert second.returncode == 0, said
    whole = weft.train(weft.load(tmp_path / "plan"), data, executor="jax", epochs=30)
    for name, value in weft.load(tmp_path / "run-trained").tensors.items():
        assert (whole.tensors[name] - value).norm() <= FLOAT32 * value.norm(), name


def test_processes_that_differ_stop_before_they_begin(tmp_path: Path) -> None:
    small_plan().save(tmp_path / "plan")
    port = 20000 + os.getpid() % 20000
    command = [sys.executable, "-m", "weft.cli.main", "train", "plan", "--data", "digits"]
    command += ["--coordinator", f"127.0.0.1:{port}", "--set", "input.classes=3"]
    processes = [
        subprocess.Popen(
            [*command, "--process", f"{number}/2", "--set", f"seed={number}"],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(2)
    ]
    said = [process.communicate(timeout=200)[1] for process in processes]
    assert [process.returncode for process in processes] == [2, 2], said
    for text in said:
        assert "expected: the same recipe in all of them" in text
        assert "in process 1" in text
