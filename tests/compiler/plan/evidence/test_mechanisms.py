"""The mechanisms that cycles are spent on, and the constants that each of them rests on."""

import pytest
from helpers.evidence_rows import row
from weft.compiler.plan.evidence.mechanisms import COLLECTIVE


def test_a_rate_is_a_time_upside_down():
    slow = row("a", 0.1, {COLLECTIVE: 1.0})
    rate = row("a", 0.1, {COLLECTIVE: 1.0}, unit="rate")
    assert slow.log_miss == pytest.approx(rate.log_miss) == pytest.approx(0.1)
