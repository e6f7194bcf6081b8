"""An experiment with data to choose a rate on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from helpers.jobs import job_of, perceptron
from helpers.stages_of import stages_of
from weft.backend.optim import Constant
from weft.bench.studies.training import SEQUENTIAL, Experiment, RunSetting
from weft.runtime.data import Dataset
from weft.runtime.tick.job import Job

RATE = 0.01


LABELS = np.arange(60) % 3


X = (np.random.default_rng(0).normal(size=(60, 9)) + LABELS[:, None] - 1).astype(np.float32)


DATA = Dataset("noise", X[:30], LABELS[:30], X[30:40], LABELS[30:40], "none")


def experiment() -> Experiment:
    torch.manual_seed(0)
    model = perceptron()
    stages = stages_of(model, torch.zeros(1, 9))

    def job(setting: RunSetting) -> Job:
        made = job_of(model, stages, compensation="none")
        return replace(made, schedule=Constant(RATE * setting.factor))

    methods = (f"a, {SEQUENTIAL}", "b")
    return Experiment("noise", "x", DATA, 1, RATE, methods, job, validation=(X[40:], LABELS[40:]))
