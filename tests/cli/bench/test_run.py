"""`weft bench run`: networks as they come, and what its records spare."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch.nn.functional as F
from torch import nn

pytest.importorskip("jax")

from weft.bench.execution import cases, times

Bench = Callable[..., str]


def small(name: str):
    def make(generator: np.random.Generator, samples: int) -> cases.TimedCase:
        x = generator.standard_normal((samples, 1, 6)).astype(np.float32)
        y = np.zeros((samples, 1), np.int64)
        return cases.TimedCase(name, nn.Linear(6, 4), F.cross_entropy, x, y)

    return make


@pytest.fixture(autouse=True)
def two_small_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("one", "two"):
        monkeypatch.setitem(cases.CASES, name, small(name))  # pyright: ignore[reportArgumentType]


@pytest.fixture
def bench(weft: Callable[..., Any]) -> Bench:
    """What the verb prints for two rounds of three samples of network one."""

    def run(*options: str) -> str:
        outcome = weft("bench", "run", "-n", "one", "--rounds", "2", "--samples", "3", *options)
        assert outcome.code == 0, outcome.err
        return outcome.out

    return run


def test_what_records_have_is_not_measured_again(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, seen = tmp_path / "rows.jsonl", []
    true_measure = times.measure

    def counted(case: cases.TimedCase, *given: object) -> list[times.LoopTimes]:
        seen.append(case.name)
        return true_measure(case, *given)  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr(times, "measure", counted)
    first = json.loads(bench("--records", str(path), "--json"))
    kept = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    assert first == kept
    assert [row["loop"] for row in kept] == ["eager", "sequential", "pipelined"]
    both = json.loads(bench("-n", "two", "--records", str(path), "--json"))
    assert both[:3] == kept
    assert seen == ["one", "two"]
    bench("--records", str(path), "--update", "compensated", "--json")
    bench("--records", str(path), "--samples", "2", "--json")
    assert seen == ["one", "two", "one", "one"]


def test_no_second_round_once_rows_are_over_their_limit(bench: Bench) -> None:
    assert {row["rounds"] for row in json.loads(bench("--row-limit", "0", "--json"))} == {1}
    assert {row["rounds"] for row in json.loads(bench("--json"))} == {2}


def test_each_network_has_its_table_when_it_is_done(bench: Bench) -> None:
    printed = bench("-n", "two")
    assert printed.index("one") < printed.rindex("network") < printed.index("two ")
