"""Costs of operators that follow each other add up in every part."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
from weft.compiler.machine.cost import Cost


def test_every_part_adds_up() -> None:
    rest = 5, 6, ("a",), ("b",), ("c",), 7.0, 8.0, 9.0
    one = Cost(np.array([1.0, 2.0]), np.array([3.0, 4.0]), *rest)  # type: ignore[arg-type]
    total = one + Cost(np.array([10.0, 20.0]), np.zeros(2)) + one
    assert total.compute.tolist() == [12.0, 24.0]
    assert total.network.tolist() == [6.0, 8.0]
    found = [getattr(total, field.name) for field in fields(Cost)[2:]]
    assert found == [10, 12, ("a", "a"), ("b", "b"), ("c", "c"), 14.0, 16.0, 18.0]
