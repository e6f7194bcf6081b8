"""The maths of the tables, and the page."""

from __future__ import annotations

import math

import numpy as np
import pytest
from weft.bench.studies.evidence import markdown, page, quadratic_table, training_table
from weft.bench.studies.quadratic import QuadraticRow, quadratic_rows
from weft.bench.studies.summary import Spread, cells
from weft.bench.studies.training import SEQUENTIAL, Record


def record(method: str, seed: int, accuracy: float, loss: float | None, factor: float = 1.0):
    return Record(
        experiment="digits",
        setup="a network",
        method=method,
        factor=factor,
        rate=0.1 * factor,
        seed=seed,
        epochs=2,
        first_delay=0 if method == SEQUENTIAL else 66,
        samples=10,
        accuracy=accuracy,
        loss=loss,
        diverged=loss is None,
        seconds=1.0,
        machine="a machine",
    )


RECORDS = [
    record(SEQUENTIAL, 0, 0.9, 0.3),
    record(SEQUENTIAL, 1, 0.8, 0.5),
    record("sc", 0, 0.7, 0.6),
    record("sc", 1, 0.5, 1.0),
    record("none", 0, 0.1, None, factor=4.0),
]


def test_spread_is_mean_and_sample_deviation() -> None:
    values = [0.5, 0.7, 0.75, 0.2]
    spread = Spread.of(values)
    assert spread.mean == pytest.approx(np.mean(values))
    assert spread.deviation == pytest.approx(np.std(values, ddof=1))
    assert math.isnan(Spread.of([1.0]).deviation)


def test_cells_group_by_method_and_rate() -> None:
    found = cells(RECORDS)
    assert list(found) == [(SEQUENTIAL, 1.0), ("sc", 1.0), ("none", 4.0)]
    assert found["sc", 1.0].loss == Spread.of([0.6, 1.0])
    lost = found["none", 4.0]
    assert (lost.diverged, lost.loss.mean) == (1, math.inf)


def test_rows_hold_spreads_gaps_and_delays() -> None:
    headers, rows = training_table(RECORDS)
    by_method = {row[0]: dict(zip(headers[2:6], row[2:6], strict=True)) for row in rows}
    assert by_method["batch 1"] == {
        "lr 0.1: accuracy, %": "85.00 ± 7.07",
        "gap": "",
        "loss, nats": "0.400 ± 0.141",
    }
    assert rows[1][:6] == [
        "PB + sc",
        "66 to 0",
        "60.00 ± 14.14",
        "-25.00",
        "0.800 ± 0.283",
        "+0.400",
    ]
    assert rows[2] == [
        "PB",
        "66 to 0",
        "",
        "",
        "",
        "",
        "10.00 (1 seed, 1 diverged)",
        "",
        "inf",
        "",
    ]
    assert all(len(row) == len(headers) for row in rows)


QUADRATIC = [
    QuadraticRow(10, delay, method, 0.5, 0.9, 7.28123, 7.3)
    for method in ("none", "sc")
    for delay in (0, 1)
]


def test_quadratic_rows_stand_by_method_and_delay() -> None:
    headers, rows = quadratic_table(QUADRATIC)
    assert headers == ["method", "D = 0: roots", "D = 0: run", "D = 1: roots", "D = 1: run"]
    assert rows == [[name, "7.281", "7.3", "7.281", "7.3"] for name in ("SGDM", "sc")]


def test_page_has_every_part_and_says_how_it_was_made() -> None:
    text = page(RECORDS, QUADRATIC, {"digits": 5})
    for part in ("## Digits", "a network", "2 epochs", "seeds 0, 1", "a machine", "kappa = 10"):
        assert part in text
    assert markdown(training_table(RECORDS)) in text
    assert "quadratic" not in page(RECORDS, [], {"digits": 5})


def test_page_says_what_is_missing() -> None:
    assert "missing" not in page(RECORDS, [], {"digits": 5})
    text = page(RECORDS, [], {"digits": 7, "text": 2})
    assert "2 of 7 runs are missing" in text
    assert "## Text" in text
    assert "2 of 2 runs are missing" in text


@pytest.mark.parametrize("method", ["none", "lwp", "sc+lwp_w"])
def test_measured_half_lives_are_those_of_the_roots(method: str) -> None:
    for row in quadratic_rows([10], [0, 1], [method]):
        assert row.measured == pytest.approx(row.by_roots, rel=0.03)


def test_half_lives_of_the_published_table() -> None:
    found = {row.method: row.by_roots for row in quadratic_rows([10], [1])}
    assert found["none"] == pytest.approx(7.28, rel=0.02)
    assert found["sc"] == pytest.approx(5.88, rel=0.02)
    assert found["lwp_w"] == pytest.approx(4.81, rel=0.02)
    assert found["sc+lwp_w"] == pytest.approx(3.97, rel=0.02)
