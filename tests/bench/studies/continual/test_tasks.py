"""Tasks of one data set, and a run through two of them."""

from __future__ import annotations

import numpy as np
import pytest
from weft.backend.errors import UnknownNameError
from weft.bench.studies.continual.learner import Learner, Method
from weft.bench.studies.continual.study import TaskRow, TaskStudy, task_table
from weft.bench.studies.continual.tasks import Images

pytest.importorskip("sklearn")


def test_permuted_tasks_have_the_same_samples_in_other_orders_of_the_pixels() -> None:
    images = Images.load("digits")
    first, second = images.permuted(2, 50, seed=3)
    assert first.x.shape == (50, 64)
    np.testing.assert_array_equal(np.sort(first.x_test, 1), np.sort(second.x_test, 1))
    assert not np.array_equal(first.x_test, second.x_test)
    again = images.permuted(2, 50, seed=3)[1]
    np.testing.assert_array_equal(again.x, second.x)


def test_split_tasks_have_two_classes_and_a_head_each() -> None:
    tasks = Images.load("digits").split(1000, seed=0)
    assert [task.head for task in tasks] == [0, 1, 2, 3, 4]
    assert all(set(task.y) == set(task.y_test) == {0, 1} for task in tasks)
    assert sum(len(task.y_test) for task in tasks) == 360


def test_a_learner_learns_tasks_and_its_plain_head_stays_plain() -> None:
    pytest.importorskip("jax")
    tasks = Images.load("digits").split(200, seed=0)[:2]
    learner = Learner(64, 2, width=16, rate=0.01, penalty=10.0)
    for method in (Method(0.01, 0.1, True), Method(0.0, 0.0, False)):
        found = learner.run(method, tasks, seed=1)
        assert [len(row) for row in found] == [1, 2]
        assert min(found[0][0], found[1][1]) > 0.8
        repeated = learner.run(method, tasks, seed=1)
        assert repeated == found
    assert not learner._machine.tensors()["head.alpha"].any()


def test_gaps_are_seed_by_seed() -> None:
    rows = [
        TaskRow("s", "split", method, seed, [[0.9], [end, 0.8]], 1.0, "m")
        for method, ends in (("soft-max", (0.5, 0.6)), ("plastic", (0.6, 0.8)))
        for seed, end in enumerate(ends)
    ]
    headers, table = task_table(rows)
    assert headers[:3] == ["head", "all tasks at the end, %", "points to soft-max"]
    assert table[0][1:4] == ["67.50 ± 2.50", "", "85.00 ± 0.00"]
    assert table[1][1:3] == ["75.00 ± 5.00", "+7.50 ± 2.50"]


def test_an_unknown_kind_of_tasks_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="permuted"):
        TaskStudy("permutted")
