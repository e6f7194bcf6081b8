"""An experiment of seconds."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from helpers.jobs import job_of, perceptron
from helpers.small_experiment import RATE, data, seeded
from helpers.stages_of import stages_of
from weft.backend.optim import Constant
from weft.bench.studies.training import SEQUENTIAL, Experiment, RunSetting
from weft.compiler.plan.program import Stages
from weft.runtime.tick.job import Job


@pytest.fixture(scope="module")
def stages() -> Stages:
    return stages_of(perceptron(), torch.zeros(1, 9))


@pytest.fixture
def experiment(stages: Stages) -> Experiment:
    def job(setting: RunSetting) -> Job:
        compensation = "none" if setting.method == SEQUENTIAL else setting.method
        made = job_of(seeded(setting.seed), stages, compensation=compensation)
        return replace(made, schedule=Constant(RATE * setting.factor))

    return Experiment("noise", "a perceptron", data(), 1, RATE, (SEQUENTIAL, "sc"), job)
