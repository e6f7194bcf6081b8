"""What takes most of a stage's cycles, by hand."""

from __future__ import annotations

import pytest
from weft.compiler.plan.causes import are_ports_full, stage_bound
from weft.compiler.plan.stage_record import OperatorCost


def operator(family: str, compute: int, network: int) -> OperatorCost:
    return OperatorCost(
        "n", f"aten.{family}.default", family, "forward", "", "", 0, 0, compute, network
    )


@pytest.mark.parametrize(
    ("operators", "ports", "bound"),
    [
        ([operator("linear", 80, 0)], True, "compute"),
        ([operator("linear", 80, 80)], True, "compute"),
        ([operator("linear", 10, 70)], True, "network"),
        ([operator("elementwise", 80, 0)], True, "memory"),
        ([operator("elementwise", 80, 0)], False, "compute"),
        ([operator("elementwise", 40, 0), operator("linear", 40, 0)], True, "compute"),
        ([operator("optimizer", 41, 0), operator("linear", 40, 0)], True, "memory"),
        ([operator("pooling", 50, 60)], True, "network"),
    ],
)
def test_the_largest_part_is_named(operators, ports, bound):
    assert stage_bound(operators, ports) == bound


def test_two_operands_of_four_bytes_need_eight_bytes_a_cycle():
    assert are_ports_full(4, 1, 8)
    assert not are_ports_full(4, 1, 9)
    assert not are_ports_full(2, 1, 8)
