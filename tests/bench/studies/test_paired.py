"""Paired differences over seeds, against values worked out by hand and by brute force."""

from __future__ import annotations

import math

import pytest
from weft.bench.studies.paired import paired
from weft.bench.studies.sparsity_table import paired_table, sparsity_page
from weft.bench.studies.training import Record

ACCURACY = {
    "dense": {10: 0.96, 11: 0.98, 12: 0.97},
    "static 0.9": {10: 0.95, 11: 0.94, 12: 0.97},
    "rigl 0.9": {10: 0.97, 11: 0.95, 12: 0.97, 13: 0.10},
}


def record(method: str, seed: int, accuracy: float) -> Record:
    return Record(
        experiment="sparsity",
        setup="a network",
        method=method,
        factor=1.0,
        rate=0.1,
        seed=seed,
        epochs=2,
        first_delay=66,
        samples=10,
        accuracy=accuracy,
        loss=0.5,
        diverged=False,
        seconds=1.0,
        machine="a machine",
    )


RECORDS = [record(m, seed, value) for m, all_ in ACCURACY.items() for seed, value in all_.items()]


def test_differences_are_taken_seed_by_seed_where_both_ran() -> None:
    found = paired(RECORDS, "rigl 0.9", "static 0.9")
    assert found.seeds == (10, 11, 12)
    assert found.mean == pytest.approx(0.01)
    assert found.error == pytest.approx(0.01 / math.sqrt(3))  # 0.02, 0.01, 0: deviation 0.01
    assert (found.better, found.equal, found.worse) == (2, 1, 0)
    # Of the signs of 0.02 and 0.01 two choices in four reach |0.03|.
    assert found.chance == pytest.approx(0.5)
    back = paired(RECORDS, "static 0.9", "rigl 0.9")
    assert (back.mean, back.chance) == (pytest.approx(-0.01), found.chance)


def test_no_difference_can_be_more_certain_than_all_signs_alike() -> None:
    records = [record("a", n, 0.9 + 0.001 * n) for n in range(5)]
    records += [record("b", n, 0.8) for n in range(5)]
    assert paired(records, "a", "b").chance == pytest.approx(2 / 2**5)
    assert paired(records[:3] + records[5:8], "a", "b").chance == pytest.approx(2 / 2**3)


def test_seeds_that_nobody_shares_leave_no_row() -> None:
    assert math.isnan(paired(RECORDS, "rigl 0.9", "set 0.9").mean)
    headers, rows = paired_table([*RECORDS, record("set 0.9", 99, 0.5)])
    assert [row[:2] for row in rows] == [
        ["static 0.9", "dense"],
        ["rigl 0.9", "dense"],
        ["rigl 0.9", "static 0.9"],
    ]
    assert rows[2][2:] == ["+1.00", "0.58", "2 / 1 / 0", "0.50", "10, 11, 12"]
    assert len(headers) == len(rows[0])
    assert "| rigl 0.9 | static 0.9 | +1.00 |" in sparsity_page(RECORDS, len(RECORDS))
