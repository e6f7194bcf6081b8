"""Plain text tables and numbers for everything of a plan that prints."""

from __future__ import annotations

import pytest
from weft.compiler.plan.text.numbers import duration, quantity, table


@pytest.mark.parametrize(
    ("value", "text"), [(1234567, "1.23 M"), (12, "12"), (2.5e9, "2.5 G"), (0, "0")]
)
def test_quantities(value: float, text: str) -> None:
    assert quantity(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(2.5, "2.5 s"), (1.2e-3, "1.2 ms"), (5e-6, "5 us"), (3e-9, "3 ns")]
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_tables_align_numbers_right() -> None:
    assert table(("a", "n"), [("x", 5), ("long", 1234)]) == (
        "a         n\n----  -----\nx         5\nlong  1,234"
    )
