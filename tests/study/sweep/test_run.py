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
from weft.compiler.targets.load import load_target, target_text
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


def test_points_without_a_plan_are_points_among_others(tmp_path: Path) -> None:
    axis = parse_axis("target.sram.bytes_per_pe=[100,49152,two]")
    lines = sweep(tasks_of(SMALL, grid_points([axis])), SweepLog(tmp_path, OWN))
    assert [line["fits"] for line in lines] == [False, True, False]
    assert "'two'" in lines[2]["reason"]
    assert "reserved_bytes" in lines[0]["reason"]


@pytest.mark.parametrize(
    ("axes", "said"),
    [
        (["target.name=[tiny_mesh,absent.yaml]"], "absent.yaml"),
        (["target.name=[tiny_mesh,tiny_mash]"], "tiny_mash"),
        (["target.noc.hops=[1,2]"], "noc.hops"),
        (["target.clock_hz=[fast,slow]"], "clock_hz"),
        (["model.name=[mlp,absent.py:net]"], "absent.py"),
        (["model.name=[mlp,mlq]"], "mlq"),
        (["loss=[cross_entropy,absent.py:loss]"], "absent.py"),
        (["loss=[cross_entropy,entropy]"], "entropy"),
    ],
)
def test_names_and_files_that_are_not_there_stop_it_before_the_work(
    axes: list[str], said: str
) -> None:
    with pytest.raises(UserError) as caught:
        tasks_of(SMALL, grid_points([parse_axis(axis) for axis in axes]))
    assert said in str(caught.value)


def test_constants_that_are_lists_are_swept_as_whole_lists(tmp_path: Path) -> None:
    """One list is one value; two in a list are two. A dead core costs its row."""
    target = tmp_path / "cracked.yaml"
    text = target_text("tiny_mesh") + (
        "\ndefects:\n  spare_rows: {value: 0, source: test, confidence: assumed}\n"
        "  dead_cores: {value: [], source: test, confidence: assumed}\n"
    )
    target.write_text(text)
    one = parse_axis("target.defects.dead_cores=[0,1]")
    both = parse_axis("target.defects.dead_cores=[[0,1],[0,1,2,3]]")
    assert (one.values, both.values) == (([0, 1],), ([0, 1], [0, 1, 2, 3]))
    recipe = make_recipe({"model": {"name": "mlp"}, "target": str(target)})
    tasks = tasks_of(recipe, grid_points([both]))
    rows = [
        len(load_target(own.name, own.overrides).working_rows)
        for own in (task.recipe.target for task in tasks)
    ]
    assert sorted(rows) == [len(load_target(str(target)).working_rows) - dead for dead in (2, 1)]
    with pytest.raises(UserError, match=r"a list in brackets, as \[12,40,800,3\]"):
        load_target(str(target), {"defects.dead_cores": "3"})
