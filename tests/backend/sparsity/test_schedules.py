"""Values that depend on the step: the sparsity of a group, the share of weights it drops."""

from __future__ import annotations

import math
from typing import Any

import pytest
from helpers.mask_rules import rule_of
from weft.sparsity import configure


def test_update_schedule_is_strictly_before_stop() -> None:
    rule = rule_of(
        {"algorithm": "set", "sparsity": 0.5, "update": {"freq": 10, "start": 5, "stop": 35}}
    )
    assert [step for step in range(100) if rule.due(step)] == [5, 15, 25]
    listed = rule_of({"algorithm": "set", "sparsity": 0.5, "update": {"steps": [7, 3]}})
    assert [step for step in range(100) if listed.due(step)] == [3, 7]
    every = rule_of({"algorithm": "set", "sparsity": 0.5})
    assert [step for step in range(4) if every.due(step)] == [1, 2, 3]


SCHEDULES = [
    (0.4, [0.4, 0.4, 0.4]),
    ({"type": "constant", "value": 0.4}, [0.4, 0.4, 0.4]),
    ({"type": "linear", "init": 0.1, "slope": 0.01}, [0.1, 0.2, 0.3]),
    ({"type": "cosine", "init": 0.8, "half_period": 20, "minimum": 0.2}, [0.8, 0.5, 0.2]),
    (
        {"type": "exp", "init": 0.2, "gamma": -0.1, "final": 0.9},
        [0.2, 0.9 - 0.7 * math.exp(-1), 0.9 - 0.7 * math.exp(-2)],
    ),
    ({"type": "power", "init": 0.5, "beta": 0.9}, [0.5, 0.5 * 0.9**10, 0.5 * 0.9**20]),
    ([0.1, 0.5, 0.9], [0.1, 0.5, 0.9]),
    ({"type": "cycling", "values": [0.1, 0.5]}, [0.1, 0.5, 0.1]),
]


@pytest.mark.parametrize(("schedule", "values"), SCHEDULES, ids=str)
def test_schedules(schedule: Any, values: list[float]) -> None:
    config = {"algorithm": "set", "sparsity": schedule, "update": {"freq": 10}}
    group = configure(config).groups[0]
    assert [group.sparsity_at(step) for step in (0, 10, 20)] == pytest.approx(values)


def test_the_drop_fraction_cycles_from_its_first_value() -> None:
    config = {"algorithm": "set", "sparsity": 0.5, "drop_fraction": [0.1, 0.2, 0.3]}
    starts_sparse = configure(config | {"update": {"freq": 10}}).groups[0]
    assert [starts_sparse.drop_at(step) for step in (10, 20, 30, 40)] == [0.1, 0.2, 0.3, 0.1]
    starts_dense = configure(config | {"update": {"freq": 10, "start": 10}}).groups[0]
    assert [starts_dense.drop_at(step) for step in (10, 20)] == [0.1, 0.2]


def test_a_schedule_stays_between_0_and_1() -> None:
    config = {"algorithm": "gmp", "sparsity": {"type": "linear", "init": -0.5, "slope": 0.01}}
    group = configure(config).groups[0]
    assert [group.sparsity_at(step) for step in (1, 100, 1000)] == [0.0, 0.5, 1.0]
