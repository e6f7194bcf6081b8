"""Runs and their records, on a perceptron and three classes that a mean tells apart."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.jobs import job_of, perceptron
from helpers.stages_of import stages_of
from torch import nn
from weft.backend.errors import UserError
from weft.backend.optim import Constant
from weft.compiler.plan.program import Stages
from weft.runtime.data import Dataset
from weft.runtime.tick.job import Job

pytest.importorskip("jax")

from weft.bench.studies.records import measure_missing, read_records
from weft.bench.studies.training import SEQUENTIAL, Experiment, Record, Setting, measure, settings
from weft.runtime.executors import make_executor
from weft.runtime.jax.executor import JaxExecutor

RATE = 0.01


@pytest.fixture(scope="module")
def stages() -> Stages:
    return stages_of(perceptron(), torch.zeros(1, 9))


def seeded(seed: int) -> nn.Module:
    torch.manual_seed(seed)
    return perceptron()


def data(count: int = 160) -> Dataset:
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 3, count)
    x = (generator.standard_normal((count, 9)) + (labels[:, None] - 1.0)).astype(np.float32)
    cut = count - 40
    return Dataset("noise", x[:cut], labels[:cut], x[cut:], labels[cut:], "none")


@pytest.fixture
def experiment(stages: Stages) -> Experiment:
    def job(setting: Setting) -> Job:
        compensation = "none" if setting.method == SEQUENTIAL else setting.method
        made = job_of(seeded(setting.seed), stages, compensation=compensation)
        return replace(made, schedule=Constant(RATE * setting.factor))

    return Experiment("noise", "a perceptron", data(), 1, RATE, (SEQUENTIAL, "sc"), job)


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
    chosen = [Setting("sc", 1.0, 0), Setting("sc", 2.0, 1)]
    together = list(measure(experiment, chosen))
    (alone,) = measure(experiment, chosen[1:])
    assert timeless(alone) == timeless(together[1])
    assert together[0].loss != together[1].loss


@pytest.mark.filterwarnings("ignore:overflow:RuntimeWarning")
def test_a_run_that_diverged_is_given_up(experiment: Experiment) -> None:
    longer = replace(experiment, epochs=3)
    (record,) = measure(longer, [Setting(SEQUENTIAL, 1e30, 0)])
    assert record.diverged
    assert record.loss is None
    assert record.samples < 3 * 120


def test_a_file_of_records_is_continued(
    experiment: Experiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, made = tmp_path / "records.jsonl", []

    def counted(job: Setting) -> Job:
        made.append(job)
        return experiment.job(job)

    watched = replace(experiment, job=counted)
    chosen = settings(experiment.methods, [1.0], [0])
    first = list(measure_missing(watched, chosen[:1], path))
    assert read_records(path) == first
    both = list(measure_missing(watched, chosen, path))
    assert made == chosen
    assert sorted(r.method for r in both) == sorted(experiment.methods)
    assert read_records(path) == both
    other = replace(watched, setup="another perceptron")
    assert len(list(measure_missing(other, chosen[:1], path))) == 1
    assert len(read_records(path)) == 3


@pytest.mark.parametrize("content", ["not json", '{"method": "sc"}', "[1]"])
def test_other_files_are_no_records(tmp_path: Path, content: str) -> None:
    path = tmp_path / "records.jsonl"
    path.write_text(content)
    with pytest.raises(UserError, match="records"):
        read_records(path)


def test_a_record_is_one_line_of_strict_json(experiment: Experiment, tmp_path: Path) -> None:
    path = tmp_path / "records.jsonl"
    (record,) = measure_missing(experiment, [Setting("sc", 1.0, 0)], path)
    (line,) = path.read_text().splitlines()
    assert json.loads(line) == asdict(record)


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
