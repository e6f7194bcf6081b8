"""Samples of a job as data to train and test with."""

from __future__ import annotations

import numpy as np
from helpers.jobs import samples
from weft.runtime.data import Dataset
from weft.runtime.tick.job import Job

TRAIN, TEST = 150, 40


def data_of(job: Job, train: int = TRAIN, test: int = TEST) -> Dataset:
    x, y = samples(job, train + test)
    x = x.astype(np.float32)
    return Dataset("own", x[:train], y[:train], x[train:], y[train:], "none")
