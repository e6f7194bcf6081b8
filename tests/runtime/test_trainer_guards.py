"""Clipping, and samples that are not finite: the same in both executors."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.bad_samples import BAD, poisoned
from helpers.jobs import perceptron_job
from weft.backend.errors import DivergedError
from weft.runtime.data import Dataset
from weft.runtime.training.trainer import train


def dataset(x: np.ndarray, y: np.ndarray) -> Dataset:
    return Dataset("own", x.astype(np.float32), y, x[:5].astype(np.float32), y[:5], "none")


def test_a_run_reports_skips_and_stops_after_too_many_in_a_row() -> None:
    job = perceptron_job("none")
    x, y = poisoned(job, 40)
    data = dataset(x, y)
    run = train(job, data, executor="reference", max_nonfinite=10)
    named = {stage.name for stage in job.stages.stages if stage.parameters}
    assert run.skipped == dict.fromkeys(named, len(BAD))
    x[3:] = np.nan
    with pytest.raises(DivergedError, match=r"diverged after \d+ samples") as caught:
        train(job, dataset(x, y), executor="reference", max_nonfinite=10)
    assert "in a row" in caught.value.got
    assert "training.clip_norm" in caught.value.change
