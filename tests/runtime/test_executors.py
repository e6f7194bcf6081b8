"""Executors by name."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from helpers.jobs import perceptron_job
from helpers.linear_data import data_of
from weft.backend.errors import UnknownNameError, UserError
from weft.runtime.data import Dataset
from weft.runtime.tick.job import Job
from weft.runtime.training.trainer import train


@pytest.fixture(scope="module")
def job() -> Job:
    return perceptron_job("sc+lwp")


@pytest.fixture(scope="module")
def data(job: Job) -> Dataset:
    return data_of(job)


def test_unknown_executor_lists_the_known(job: Job, data: Dataset) -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'jax'"):
        train(job, data, executor="jaxx")


def test_without_jax_the_message_says_how_to_get_it(
    job: Job, data: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "weft.runtime.jax.executor", raising=False)
    monkeypatch.setitem(sys.modules, "jax", None)
    with pytest.raises(UserError, match=r"pip install 'weft\[jax\]'"):
        train(job, data, executor="jax")


def test_executors_train_alike(job: Job, data: Dataset) -> None:
    pytest.importorskip("jax")
    from weft.runtime.jax.executor import JaxExecutor

    reports = [train(job, data, executor=name, epochs=2) for name in ("jax", "reference")]
    assert reports[0].compile_s > 0 == reports[1].compile_s
    assert reports[0].state_bytes == JaxExecutor(job).state_bytes
    assert (reports[0].temporary_bytes or 0) > 0
    assert reports[1].state_bytes is reports[1].temporary_bytes is None
    np.testing.assert_allclose(reports[0].losses, reports[1].losses, rtol=1e-3, atol=1e-4)
    assert reports[0].test_accuracy == reports[1].test_accuracy
