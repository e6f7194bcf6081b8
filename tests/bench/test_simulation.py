from __future__ import annotations

import pytest
from weft.backend.errors import UnknownNameError
from weft.bench.simulation import measure, measure_fabric


def test_the_fabric_is_timed_with_and_without_equal_rows():
    rows = list(measure_fabric(rounds=1))
    assert {row.unit for row in rows[:-1]} == {"M PE-cycles/s"}
    assert rows[-1].note.startswith("518,400 PEs")
    assert [row.note.rpartition(", ")[2] for row in rows[:2]] == ["1 classes", "64 classes"]


def test_an_unknown_network_is_named():
    with pytest.raises(UnknownNameError, match="did you mean 'resnet18'"):
        list(measure(["resnet19"], 1))
