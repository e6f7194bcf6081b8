"""Optuna's points lead to the best of a grid, and a search that was stopped goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from weft.backend.errors import UserError
from weft.compiler.recipes.read import make_recipe
from weft.study.sweep.axes import parse_axis
from weft.study.sweep.front import pareto_front, parse_objective
from weft.study.sweep.log import Sweep, SweepLog
from weft.study.sweep.search import search
from weft.study.sweep.workers import workers

pytest.importorskip("optuna")

SMALL = make_recipe({"model": {"name": "mlp", "options": {"width": 8}}, "target": "wse2"})
AXES = [
    parse_axis("target.noc.hop_cycles=[1,2,3,4]"),
    parse_axis("target.clock_hz=lograndom(1e8:1e9)"),
]
FASTEST = [parse_objective("throughput_samples_per_s:max")]
OWN = Sweep("recipe", ("axis",), "optuna", 50)


def found(directory: Path, count: int, **options: Any) -> tuple[list[dict[str, Any]], list[int]]:
    told: list[int] = []
    with workers(50) as evaluate:
        lines = search(
            SMALL, AXES, FASTEST, SweepLog(directory, OWN), evaluate, count,
            on_point=lambda done, _: told.append(done), **options,
        )  # fmt: skip
    return lines, told


def test_it_finds_the_short_hops_and_the_fast_clock(tmp_path: Path) -> None:
    lines, told = found(tmp_path, 30, seed=1)
    assert told == list(range(1, 31))
    (best,) = pareto_front(lines, FASTEST)[:1]
    assert best["overrides"]["target.noc.hop_cycles"] <= 2
    assert best["overrides"]["target.clock_hz"] > 8e8
    late = [line["overrides"]["target.clock_hz"] for line in lines[20:]]
    early = [line["overrides"]["target.clock_hz"] for line in lines[:10]]
    assert sum(late) / len(late) > sum(early) / len(early)


def test_a_search_that_was_stopped_goes_on_where_it_was(tmp_path: Path) -> None:
    whole, _ = found(tmp_path / "whole", 12, at_once=2)
    found(tmp_path / "part", 6, at_once=2)
    before = (tmp_path / "part" / "points.jsonl").read_text()
    rest, _ = found(tmp_path / "part", 12, at_once=2)
    assert [line["recipe"] for line in rest] == [line["recipe"] for line in whole]
    after = (tmp_path / "part" / "points.jsonl").read_text()
    assert after.startswith(before)
    assert len(after.splitlines()) == len(rest)


def test_points_that_do_not_fit_are_kept_and_told_as_failed(tmp_path: Path) -> None:
    axes = [parse_axis("target.sram.bytes_per_pe=[6200,48000]")]
    with workers(50) as evaluate:
        lines = search(SMALL, axes, FASTEST, SweepLog(tmp_path, OWN), evaluate, 8)
    assert sorted(line["fits"] for line in lines) == [False, True]


def test_a_search_by_assumed_figures_is_refused(tmp_path: Path) -> None:
    axes = [parse_axis("target.name=[tiny_mesh,wse2]")]
    with workers(50) as evaluate, pytest.raises(UserError, match="assumed constants alone"):
        search(SMALL, axes, FASTEST, SweepLog(tmp_path, OWN), evaluate, 8)
