"""The mechanisms that cycles are spent on, and the constants that each of them rests on."""

import math

import pytest
from weft.compiler.plan.evidence import EvidenceRow
from weft.compiler.plan.evidence.mechanisms import (
    COLLECTIVE,
)


def row(set_name, miss, terms, target="wse3", unit="cycles"):
    held_out = 1000.0
    measured = held_out * math.exp(miss if unit == "cycles" else -miss)
    return EvidenceRow(
        set_name, "k", "cycles", "", target, "silicon", unit, measured, held_out, held_out, terms
    )


def test_a_rate_is_a_time_upside_down():
    slow = row("a", 0.1, {COLLECTIVE: 1.0})
    rate = row("a", 0.1, {COLLECTIVE: 1.0}, unit="rate")
    assert slow.log_miss == pytest.approx(rate.log_miss) == pytest.approx(0.1)
