"""Rates are chosen on validation data alone, the same way for every method; runs are kept."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.searched_experiment import RATE, experiment
from weft.bench.studies import searched
from weft.bench.studies.evidence import page, search_table
from weft.bench.studies.searched import Search, measure_search
from weft.bench.studies.training import SEQUENTIAL, Experiment, Record, RunSetting, measure

pytest.importorskip("jax")


@pytest.fixture
def search() -> Search:
    return Search(experiment(), (0.5, 1.0, 2.0), (7,), (0, 1))


LOSSES = {f"a, {SEQUENTIAL}": {0.5: 1.0, 1.0: 0.8, 2.0: None}, "b": {0.5: 0.9, 1.0: 1.0, 2.0: 1.1}}


def fake(asked: list[RunSetting], experiment: Experiment, chosen: Iterator[RunSetting]):
    """Records of the losses above; tests say the opposite, which must not matter."""
    for setting in chosen:
        asked.append(setting)
        loss = LOSSES[setting.method][setting.factor]
        if setting.part == "test":
            loss = 5.0 - (loss or 0) + setting.seed
        yield Record(
            "noise", "x", setting.method, setting.factor, RATE * setting.factor, setting.seed, 1,
            0, 30, 0.5, loss, loss is None, 0.0, "m", setting.part,
        )  # fmt: skip


def test_the_best_rate_of_the_validation_is_tested_with_every_seed(
    search: Search, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[RunSetting] = []
    monkeypatch.setattr(searched, "measure", lambda e, chosen: fake(asked, e, chosen))
    states = list(measure_search(search, tmp_path / "r.jsonl"))
    assert [len(state) for state in states] == list(range(search.runs + 1))
    assert search.runs == 2 * (3 + 2)
    tested = [(s.method, s.factor, s.seed) for s in asked if s.part == "test"]
    assert tested == [(f"a, {SEQUENTIAL}", 1.0, 0), ("b", 0.5, 0), (f"a, {SEQUENTIAL}", 1.0, 1),
                      ("b", 0.5, 1)]  # fmt: skip
    headers, rows = search_table(search, states[-1])
    by_name = [dict(zip(headers, row, strict=True)) for row in rows]
    assert by_name[0]["chosen"] == "0.01"
    assert by_name[0]["val. at 0.02"] == "inf"
    assert by_name[1]["chosen"] == "0.005"
    assert by_name[1]["gap"] == "-0.100"
    assert "Not finished" not in page([], [], {}, search, states[-1])


def test_a_run_that_was_stopped_goes_on_and_the_page_says_what_is_missing(
    search: Search, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[RunSetting] = []
    monkeypatch.setattr(searched, "measure", lambda e, chosen: fake(asked, e, chosen))
    path = tmp_path / "r.jsonl"
    first = measure_search(search, path)
    for _ in range(5):
        latest = next(first)
    first.close()
    text = page([], [], {}, search, latest)
    assert "**Not finished: 6 of 10 runs are missing.**" in text
    done = list(measure_search(search, path))
    assert len(done[0]) == 4
    assert len(done[-1]) == 10 == len(asked)
    assert list(measure_search(search, path)) == [done[-1]]
    assert list(measure_search(search, tmp_path / "other.jsonl", limit_s=0)) == [[]]


def test_what_is_tested_is_the_part_that_was_asked_for() -> None:
    chosen = [RunSetting("b", 1.0, 0, "validation"), RunSetting("b", 1.0, 0, "test")]
    one, two = measure(experiment(), chosen)
    assert (one.part, two.part) == ("validation", "test")
    assert one.loss != two.loss
    assert one.key != two.key
