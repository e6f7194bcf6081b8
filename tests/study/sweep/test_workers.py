"""Whoever evaluates a point, the line is the same."""

from __future__ import annotations

from pathlib import Path

import pytest
from weft.backend.errors import UnknownNameError, UserError
from weft.compiler.recipes.read import make_recipe
from weft.study.sweep.axes import parse_axis
from weft.study.sweep.log import Sweep, SweepLog
from weft.study.sweep.points import grid_points
from weft.study.sweep.run import sweep, tasks_of
from weft.study.sweep.workers import PointTask, _parts, workers

SMALL = make_recipe({"model": {"name": "mlp", "options": {"width": 8}}, "target": "tiny_mesh"})
HOPS = grid_points([parse_axis("target.noc.hop_cycles=1:6:1")])
TASKS = tasks_of(SMALL, [*HOPS, {"target.sram.bytes_per_pe": 2100}])
OWN = Sweep("recipe", ("axis",), "grid", 50)


def lines(directory: Path, **options: object) -> list[dict[str, object]]:
    with workers(50, **options) as evaluate:  # type: ignore[arg-type]
        found = sweep(TASKS, SweepLog(directory, OWN), evaluate)
    return [{key: value for key, value in line.items() if key != "seconds"} for line in found]


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, object]]:
    return lines(tmp_path_factory.mktemp("alone"))


def test_what_does_not_fit_is_a_line_too(alone: list[dict[str, object]]) -> None:
    assert [line["fits"] for line in alone] == [True] * 6 + [False]


def test_several_processes_give_the_lines_of_one(
    alone: list[dict[str, object]], tmp_path: Path
) -> None:
    assert lines(tmp_path, jobs=2) == alone


@pytest.mark.filterwarnings("ignore")
def test_ray_gives_the_lines_of_one(alone: list[dict[str, object]], tmp_path: Path) -> None:
    pytest.importorskip("ray")
    assert lines(tmp_path, jobs=2, over="ray") == alone


def test_unknown_places_and_no_jobs_are_refused() -> None:
    with pytest.raises(UnknownNameError, match="ray"), workers(50, 1, "rai"):
        pass
    with pytest.raises(UserError, match="--jobs"), workers(50, 0):
        pass


def parts(prices: str, jobs: int) -> list[str]:
    tasks = [PointTask({}, str(n), SMALL, price) for n, price in enumerate(prices)]
    found = _parts(tasks, jobs)
    assert [task for part in found for task in part] == tasks
    return ["".join(task.prices for task in part) for part in found]


def test_points_with_the_same_prices_go_to_one_worker() -> None:
    assert parts("a" * 10 + "b" * 10 + "c" * 3 + "d" * 4, 2) == ["a" * 10, "b" * 10, "cccdddd"]
    assert parts("a" * 40, 2) == ["a" * 8] * 5
    assert parts("abcdefgh", 2) == ["abcd", "efgh"]
    assert parts("abc", 8) == ["a", "b", "c"]
