"""The maths of the tables, and the page."""

from __future__ import annotations

from helpers.study_records import RECORDS
from weft.bench.studies.evidence import markdown, page, quadratic_table, training_table
from weft.bench.studies.quadratic import QuadraticRow


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
