"""Records of sparse training as a table."""

from __future__ import annotations

import math

from helpers.paired_records import RECORDS, record
from weft.bench.studies.paired import paired
from weft.bench.studies.sparsity_table import paired_table, sparsity_page


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
