"""Time to accuracy of a deep perceptron: the search, a run of each kind, the table."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from weft.bench.studies import reached
from weft.bench.studies.reached import (
    BY_TORCH,
    ReachedRow,
    ReachedStudy,
    reached_page,
    reached_table,
)
from weft.bench.studies.training import SEQUENTIAL

pytest.importorskip("jax")


@pytest.fixture
def images(tmp_path: Path) -> str:
    """Two classes that a bright half tells apart."""
    draw = np.random.default_rng(0)
    y = draw.integers(0, 2, 500)
    x = draw.integers(0, 60, (500, 28, 28))
    x[y == 1, :14] += 180
    path = tmp_path / "images.npz"
    arrays = {"x": x.astype(np.uint8), "y": y.astype(np.uint8)}
    np.savez(
        path,
        **{f"{name}_train": value[:400] for name, value in arrays.items()},
        **{f"{name}_test": value[400:] for name, value in arrays.items()},
    )
    return str(path)


@pytest.mark.parametrize("method", [BY_TORCH, SEQUENTIAL, "sc+lwp"])
def test_samples_until_the_target_are_those_of_the_first_score_above_it(
    images: str, tmp_path: Path, method: str
) -> None:
    study = ReachedStudy(
        images, epochs=1, seeds=1, every=100, methods=(method,), factors=(0.5,), layers=3
    )
    search, tested = study.rows(tmp_path / "rows.jsonl")
    assert (search.seed, search.test) == (100, None)
    assert (tested.seed, tested.factor) == (0, 0.5)
    for row in (search, tested):
        assert row.samples in range(100, 381)
        assert row.seconds == pytest.approx(row.samples * row.microseconds_a_sample / 1e6)
    assert tested.test is not None
    assert tested.test >= 0.97
    assert list(study.rows(tmp_path / "rows.jsonl")) == [search, tested]


def row(factor: float, samples: int | None, validation: float, seed: int = 100) -> ReachedRow:
    seconds = None if samples is None else samples / 1000
    test = None if seed == 100 else 0.98
    return ReachedRow("x", "none", factor, seed, samples, seconds, validation, test, 1000.0, "m")


def test_the_rate_that_reaches_the_target_first_is_chosen_or_the_most_right(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    study = ReachedStudy("x")
    monkeypatch.setitem(vars(study), "setup", "x")
    rows = [row(0.5, None, 0.99), row(1.0, 4000, 0.971), row(2.0, 2000, 0.9)]
    assert study.chosen("none", rows) == 2.0
    assert study.chosen("none", [rows[0], row(1.0, None, 0.5)]) == 0.5


def test_the_table_says_how_many_runs_never_reached_the_target() -> None:
    rows = [row(1.0, 2000, 0.98, 0), row(1.0, None, 0.9, 1)]
    assert reached_table(rows)[1] == [
        ["PB", "0.1", "2000 (1 never)", "2.0 (1 never)", "1000 ± 0", "98.00 ± 0.00", "2"]
    ]
    assert "Not finished: 5 of 7" in reached_page(rows, 7)
    assert reached.TARGET == 0.97
