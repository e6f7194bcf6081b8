"""A value serves exactly the targets that agree in what was read to make it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from weft.compiler.targets.load import load_target
from weft.compiler.targets.reads import ByReads
from weft.compiler.targets.target import Target

WSE2 = load_target("wse2")


def other(**overrides: object) -> Target:
    return load_target("wse2", {key.replace("__", "."): v for key, v in overrides.items()})


class Counted:
    """A function of a target, and how often it ran."""

    def __init__(self) -> None:
        self.runs = 0

    def __call__(self, target: Target) -> float:
        self.runs += 1
        return target.capacity_bytes + (target.noc.hop_cycles if target.noc.multicast else 0)


@pytest.mark.parametrize(
    ("overrides", "runs"),
    [
        ({"clock_hz": 1e9}, 1),
        ({"host__bytes_per_s": 1e9}, 1),
        ({"noc__hop_cycles": 3}, 2),
        ({"sram__bytes_per_pe": 50000}, 2),
    ],
)
def test_a_value_is_made_again_where_something_it_reads_differs(overrides, runs) -> None:
    values, function = ByReads[float](), Counted()
    first = values("it", WSE2, function)
    second = values("it", other(**overrides), function)
    assert function.runs == runs
    assert first == Counted()(WSE2)
    assert second == Counted()(other(**overrides))


def test_what_is_read_only_on_some_targets_counts_there() -> None:
    """`clock_hz` is read where there is no multicast."""
    values = ByReads[float]()

    def function(target: Target) -> float:
        return 1.0 if target.noc.multicast else target.clock_hz

    machines = [
        other(noc__multicast=flag, clock_hz=clock)
        for flag in (True, False)
        for clock in (1e9, 2e9, 1e9)
    ]
    assert [values("it", m, function) for m in machines] == [1.0, 1.0, 1.0, 1e9, 2e9, 1e9]


def test_values_inside_values_are_read_by_both() -> None:
    inner, outer = ByReads[float](), ByReads[float]()

    def both(target: Target) -> float:
        return inner("inside", target, lambda one: one.clock_hz)

    machines = [WSE2, other(clock_hz=1e9), WSE2, other(noc__hop_cycles=2)]
    found = [outer("around", machine, both) for machine in machines]
    assert found == [machine.clock_hz for machine in machines]
    outer = ByReads[float]()
    again = [outer("around", machine, both) for machine in machines]
    assert again == found


def test_a_target_is_given_as_it_is() -> None:
    values = ByReads[Target]()
    shorter = values("it", WSE2, lambda target: replace(target, wafers=2))
    assert shorter.wafers == 2
    assert shorter.capacity_bytes == WSE2.capacity_bytes
    assert values("hash", WSE2, lambda target: target.hash) == WSE2.hash  # type: ignore[arg-type]


def test_the_one_that_was_not_used_for_longest_goes_first() -> None:
    values = ByReads[float]()
    for clock in (1e9, 2e9):
        values("it", other(clock_hz=clock), lambda target: target.clock_hz)
    values("it", other(clock_hz=1e9), lambda target: -1.0)
    assert list(values) == [2e9, 1e9]
    assert values.drop_first() == 2e9
