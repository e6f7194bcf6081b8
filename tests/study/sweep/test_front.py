"""The front against its definition, pair by pair."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from weft.backend.errors import UnknownNameError, UserError
from weft.study.sweep.front import assumed_of, pareto_front, parse_objective

OBJECTIVES = [parse_objective("throughput_samples_per_s:max"), parse_objective("pes:min")]


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5), st.booleans()), max_size=30))
def test_the_front_is_what_nothing_dominates(rows: list[tuple[int, int, bool]]) -> None:
    lines = [{"throughput_samples_per_s": a, "pes": b, "fits": fits} for a, b, fits in rows]
    own = [(a, b) for a, b, fits in rows if fits]
    expected = [
        (a, b) for a, b in own if not any(c >= a and d <= b and (c > a or d < b) for c, d in own)
    ]
    front = [(x["throughput_samples_per_s"], x["pes"]) for x in pareto_front(lines, OBJECTIVES)]
    assert sorted(front) == sorted(expected)
    assert front == sorted(front, key=lambda pair: -pair[0])


def test_bad_objectives_are_refused() -> None:
    with pytest.raises(UnknownNameError, match="latency_s"):
        parse_objective("latency:min")
    with pytest.raises(UserError, match="NAME:max or NAME:min"):
        parse_objective("pes")


def test_assumed_figures_are_not_ranked() -> None:
    """The fastest point has nothing behind its rate, so the front is that of the others."""
    lines = [
        {"throughput_samples_per_s": 9, "pes": 9, "fits": True, "assumed": [OBJECTIVES[0].name]},
        {"throughput_samples_per_s": 5, "pes": 5, "fits": True, "assumed": ["latency_s"]},
        {"throughput_samples_per_s": 1, "pes": 1, "fits": True, "assumed": []},
    ]
    assert pareto_front(lines, OBJECTIVES) == lines[1:]
    assert pareto_front(lines, OBJECTIVES[1:]) == lines[2:]
    assert [assumed_of(line, OBJECTIVES) for line in lines] == [[OBJECTIVES[0].name], [], []]


@pytest.mark.parametrize("name", ["error_bars:min", "assumed:max", "bound_by:min"])
def test_what_is_no_number_is_no_objective(name: str) -> None:
    with pytest.raises(UnknownNameError):
        parse_objective(name)
