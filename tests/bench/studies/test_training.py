"""Runs and their records, on a perceptron and three classes that a mean tells apart."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from helpers.jobs import job_of
from helpers.stages_of import stages_of
from torch import nn
from weft.backend.errors import UserError
from weft.compiler.plan.program import Stages
from weft.runtime.tick.job import Job

pytest.importorskip("jax")

from helpers.small_experiment import RATE, seeded
from weft.bench.studies.training import (
    SEQUENTIAL,
    Experiment,
    Record,
    RunSetting,
    measure,
    settings,
)
from weft.runtime.executors import make_executor
from weft.runtime.jax.executor import JaxExecutor


def timeless(record: Record) -> Record:
    return replace(record, seconds=0.0)


def test_settings_finish_a_seed_before_the_next() -> None:
    made = settings(["a", "b"], [1.0, 4.0], [0, 1])
    assert [s.seed for s in made] == [0] * 4 + [1] * 4
    assert len(set(made)) == 8


def test_records_say_what_was_run(experiment: Experiment) -> None:
    chosen = settings(experiment.methods, [1.0], [0])
    plain, pipelined = measure(experiment, chosen)
    assert (plain.method, plain.first_delay) == (SEQUENTIAL, 0)
    assert (pipelined.method, pipelined.first_delay) == ("sc", 2 * (4 - 1))
    for record, setting in zip((plain, pipelined), chosen, strict=True):
        assert record.key == experiment.key(setting)
        assert (record.samples, record.rate, record.diverged) == (120, RATE, False)
        assert record.accuracy > 0.5
    assert plain.loss != pipelined.loss


def test_runs_that_share_a_program_equal_runs_alone(experiment: Experiment) -> None:
    chosen = [RunSetting("sc", 1.0, 0), RunSetting("sc", 2.0, 1)]
    together = list(measure(experiment, chosen))
    (alone,) = measure(experiment, chosen[1:])
    assert timeless(alone) == timeless(together[1])
    assert together[0].loss != together[1].loss


@pytest.mark.filterwarnings("ignore:overflow:RuntimeWarning")
def test_a_run_that_diverged_is_given_up(experiment: Experiment) -> None:
    longer = replace(experiment, epochs=3)
    (record,) = measure(longer, [RunSetting(SEQUENTIAL, 1e30, 0)])
    assert record.diverged
    assert record.loss is None
    assert record.samples < 3 * 120


CHANGES: dict[str, Callable[[Job], Job]] = {
    "rule": lambda job: job_of(seeded(0), job.stages, compensation="lwp"),
    "masks": lambda job: job_of(seeded(0), job.stages, masks={"0.weight": torch.ones(16, 9) > 0}),
    "stages": lambda job: job_of(
        nn.Sequential(nn.Linear(9, 3)), stages_of(nn.Sequential(nn.Linear(9, 3)), torch.zeros(1, 9))
    ),
}


@pytest.mark.parametrize("what", CHANGES)
def test_restart_refuses_a_job_of_another_program(stages: Stages, what: str) -> None:
    job = job_of(seeded(0), stages)
    machine = make_executor("jax", job, "pipelined")
    assert isinstance(machine, JaxExecutor)
    with pytest.raises(UserError, match="restart"):
        machine.restart(CHANGES[what](job))
