"""Paired differences over seeds, against values worked out by hand and by brute force."""

from __future__ import annotations

import math

import pytest
from helpers.paired_records import RECORDS, record
from weft.bench.studies.paired import paired


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
