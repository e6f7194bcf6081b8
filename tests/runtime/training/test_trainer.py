from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
import weft
from helpers.jobs import perceptron_job
from helpers.linear_data import TEST, TRAIN, data_of
from helpers.plans_to_train import RECIPE, small_data, small_plan
from weft.backend.errors import DivergedError
from weft.compiler.recipes.build import compile_recipe
from weft.compiler.recipes.read import make_recipe
from weft.runtime.data import Dataset
from weft.runtime.reference.executor import ReferenceExecutor
from weft.runtime.tick.job import Job
from weft.runtime.training.trainer import Progress, train


@pytest.fixture(scope="module")
def job() -> Job:
    return perceptron_job("sc+lwp")


@pytest.fixture(scope="module")
def data(job: Job) -> Dataset:
    return data_of(job)


def test_training_is_feeding_the_epochs_and_draining_once(job: Job, data: Dataset) -> None:
    """Neither the tests between epochs nor the chunks change a bit."""
    report = train(job, data, executor="reference", epochs=3, seed=5)
    executor = ReferenceExecutor(job)
    order = np.concatenate(list(data.epochs(3, seed=5)))
    fed = executor.feed([data.x_train[order], data.y_train[order]]).losses.values
    losses = np.concatenate([fed, executor.flush().losses.values])
    np.testing.assert_array_equal(report.losses, losses)
    expected = executor.tensors()
    assert all(torch.equal(value, expected[name]) for name, value in report.tensors.items())


def test_accuracy_is_the_share_of_right_predictions(job: Job, data: Dataset) -> None:
    report = train(job, data, executor="reference", epochs=2)
    trained = replace(job, tensors=report.tensors)
    (scores,) = ReferenceExecutor(trained).evaluate([data.x_test, data.y_test])
    right = sum(
        int(np.argmax(row)) == label for row, label in zip(scores, data.y_test, strict=True)
    )
    assert report.test_accuracy == right / TEST > 0.8
    assert [count for count, _ in report.accuracies] == [TRAIN, 2 * TRAIN, 2 * TRAIN]


def test_progress_counts_every_sample(job: Job, data: Dataset) -> None:
    seen: list[Progress] = []
    train(job, data, executor="reference", epochs=2, on_progress=seen.append)
    counts = [progress.samples for progress in seen]
    assert counts == sorted(counts)
    assert counts[-1] == seen[-1].total == 2 * TRAIN
    assert seen[-1].accuracy is not None
    assert np.isfinite(seen[-1].loss)
    assert seen[-1].samples_per_s > 0


def test_divergence_stops_the_run_and_says_when(job: Job, data: Dataset) -> None:
    wild = replace(job, schedule=lambda update: 1e30)
    with pytest.raises(DivergedError, match=r"diverged after \d+ samples"):
        train(wild, data, executor="reference", epochs=9)


def test_sparsity_over_time_is_that_of_the_rule_and_in_the_end_of_the_masks() -> None:
    """GMP prunes 9 parts of 10,000 more a sample; each chunk says how far it is."""
    rule = {"type": "linear", "init": 0.0, "slope": 0.0009}
    pruned = {"algorithm": "gmp", "sparsity": rule, "update": {"freq": 10}}
    plan = compile_recipe(make_recipe({**RECIPE, "sparsity": pruned}), witness=False)
    report = weft.train(plan, small_data(300), executor="reference", epochs=1)
    for trained, share in report.sparsities[:-1]:
        assert share == pytest.approx(0.0009 * (trained // 10 * 10), abs=0.011)
    kept = sum(int(mask.sum()) for mask in report.masks.values())
    whole = sum(mask.numel() for mask in report.masks.values())
    assert report.sparsities[-1] == (300, 1 - kept / whole)
    assert [trained for trained, _ in report.sparsities] == [0, 128, 256, 300, 300]
    assert weft.train(small_plan(), small_data(), executor="reference", epochs=1).sparsities == ()
