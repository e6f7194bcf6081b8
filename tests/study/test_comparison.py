"""Rows of machines as a table."""

from __future__ import annotations

from weft.study.compare import Figures, MachineRow
from weft.study.comparison import Comparison

FIGURES = Figures(2000.0, 0.5, 0.25, 0.125, "compute")
ROWS = Comparison(
    (
        MachineRow("one", "simulated", 1, {"published": 3, "memory": 2}, FIGURES, slower="why"),
        MachineRow("two", "simulated", 1, {"derived": 1}, None, reason="too large"),
    )
)


def test_a_table_says_rates_and_what_does_not_fit() -> None:
    lines = str(ROWS).splitlines()
    assert lines[2].split() == [
        *("one", "simulated", "1", "2", "k", "500", "ms", "25.0", "%", "12.5", "%"),
        *("compute", "3", "/", "0", "/", "2"),
    ]
    assert lines[5:7] == ["two does not fit: too large", "why"]
    assert repr(ROWS) == "Comparison(one 2 k samples/s, two does not fit)"


def test_rows_are_those_of_a_tuple() -> None:
    assert ROWS[0].target == "one"
    assert len(ROWS) == 2
    assert list(ROWS.to_frame()["fits"]) == [True, False]
