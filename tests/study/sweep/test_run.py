"""Every point once: in one process or several, in shards, after a kill, beside another sweep."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from weft.backend.errors import UserError
from weft.compiler.recipes.read import make_recipe
from weft.study.sweep.axes import parse_axis
from weft.study.sweep.log import Shard, Sweep, SweepLog
from weft.study.sweep.points import grid_points
from weft.study.sweep.run import sweep as run
from weft.study.sweep.run import tasks_of
from weft.study.sweep.workers import workers

SMALL = make_recipe({"model": {"name": "mlp", "options": {"width": 8}}, "target": "tiny_mesh"})
HOPS = grid_points([parse_axis("target.noc.hop_cycles=1:6:1")])
OWN = Sweep("recipe", ("axis",), "grid", 50)


def sweep(tasks: list[Any], log: SweepLog, **options: Any) -> list[dict[str, Any]]:
    with workers(50) as evaluate:
        return run(tasks, log, evaluate, **options)


def _without_time(lines: list[dict[str, object]]) -> list[dict[str, object]]:
    return [{key: value for key, value in line.items() if key != "seconds"} for line in lines]


def test_shards_are_the_whole_and_a_second_run_does_nothing(tmp_path: Path) -> None:
    for index in range(3):
        shard = Shard(index, 3)
        sweep(tasks_of(SMALL, HOPS, shard), SweepLog(tmp_path, OWN, shard))
    log = SweepLog(tmp_path, OWN)
    assert len(log.done()) == 6
    told: list[int] = []
    sweep(tasks_of(SMALL, HOPS), log, on_point=lambda done, _: told.append(done))
    assert told == [6]
    assert not (tmp_path / "points.jsonl").exists()


def test_equal_points_are_one(tmp_path: Path) -> None:
    assert len(tasks_of(SMALL, [{"epochs": 10}, {}, {"epochs": 10.0}])) == 1


def test_a_torn_line_is_done_again(tmp_path: Path) -> None:
    tasks = tasks_of(SMALL, HOPS)
    whole = sweep(tasks, SweepLog(tmp_path, OWN))
    file = tmp_path / "points.jsonl"
    file.write_bytes(file.read_bytes()[:-7])
    assert _without_time(sweep(tasks, SweepLog(tmp_path, OWN))) == _without_time(whole)
    assert len(file.read_text().splitlines()) == 6


def test_a_killed_sweep_goes_on_without_loss_or_repetition(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "weft.cli.main", "sweep", "mlp", "--samples", "50"]
    command += ["--set", "model.options.width=8", "--set", "target.name=tiny_mesh"]
    command += ["--set", "target.noc.hop_cycles=1:40:1", "-o", str(tmp_path / "s"), "--json"]
    file = tmp_path / "s" / "points.jsonl"
    running = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while running.poll() is None and not (file.exists() and file.stat().st_size):
        time.sleep(0.02)
    running.send_signal(signal.SIGKILL)
    running.wait()
    before = file.read_text()
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    after = file.read_text()
    assert after.startswith(before[: before.rfind("\n") + 1])
    counts = Counter(json.loads(line)["recipe"] for line in after.splitlines())
    assert len(counts) == len(json.loads(done.stdout)["points"]) == 40
    assert set(counts.values()) == {1}


def test_a_point_that_the_recipe_does_not_take_is_told_before_any_work(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="sparsityy"):
        tasks_of(SMALL, [{}, {"sparsityy": 1}])
    with pytest.raises(UserError, match="unknown constant of target tiny_mesh 'clock'"):
        tasks_of(SMALL, [{}, {"target.clock": 1e9}])


def test_a_sparsity_that_no_model_could_have_is_refused_before_the_first_point() -> None:
    with pytest.raises(UserError, match="less than 1"):
        tasks_of(SMALL, grid_points([parse_axis("sparsity=[0.5,1.5]")]))
