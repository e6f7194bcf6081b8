"""The error of what reversible stages rebuild, against a loop that keeps what they read."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from math import sqrt
from pathlib import Path

import pytest
import torch
import weft
from helpers.jobs import samples
from helpers.plans_to_train import small_data
from helpers.reversible_chains import network, reversible_job
from torch import Tensor
from weft.compiler.pipeline import Options
from weft.compiler.plan.program import Stage
from weft.runtime.reference.executor import ReferenceExecutor
from weft.runtime.tick.job import Job
from weft.runtime.tick.rebuilding_error import errors, measured, without_errors

COUNT = 40


class Keeping(ReferenceExecutor):
    """Keeps what stages read, and compares it with what they give back."""

    def __init__(self, job: Job) -> None:
        super().__init__(job)
        self.read: dict[tuple[int, int], list[Tensor]] = {}
        self.sums: dict[str, list[tuple[float, float]]] = {}

    def _forward(self, stage: Stage, sample: int, delay: int, rate: float) -> None:
        self.read[stage.index, sample] = [self.values[s][sample] for s in stage.inputs]
        super()._forward(stage, sample, delay, rate)

    def _backward(self, stage: Stage, sample: int, delay: int, rate: float) -> None:
        super()._backward(stage, sample, delay, rate)
        read = self.read.pop((stage.index, sample))
        pairs = [(self.rebuilt[key][sample], read[key.input]) for key in stage.rebuilt]
        if stage.program.arriving and pairs:
            wrong = sum(float((a - b).square().sum()) for a, b in pairs)
            size = sum(float(b.square().sum()) for _, b in pairs)
            self.sums.setdefault(stage.name, []).append((wrong, size))


def mean_error(sums: Sequence[tuple[float, float]]) -> float:
    """With weights that fall by 0.99 from each sample to the one before."""
    weights = [0.99 ** (len(sums) - 1 - n) for n in range(len(sums))]
    wrong, size = (sum(w * s[k] for w, s in zip(weights, sums, strict=True)) for k in (0, 1))
    return sqrt(wrong / size)


def with_errors(job: Job) -> Job:
    stages, start = measured(job.stages)
    return replace(job, stages=stages, tensors={**job.tensors, **start})


@pytest.mark.parametrize("name", ["chain", "halves"])
def test_it_is_what_a_loop_finds_that_keeps_what_stages_read(name: str) -> None:
    job = reversible_job(name, "none")
    inputs = samples(job, COUNT)
    loop, executor = Keeping(job), ReferenceExecutor(with_errors(job))
    for one in (loop, executor):
        one.feed(inputs)
        one.flush()
    found = errors(executor.job.stages, executor.tensors())
    assert found.keys() == loop.sums.keys()
    for stage, error in found.items():
        assert error == pytest.approx(mean_error(loop.sums[stage]), rel=1e-6)
    assert max(found.values()) > 1e-6
    trained = without_errors(executor.tensors())
    assert trained.keys() == loop.tensors().keys()
    assert all(torch.equal(trained[n], v) for n, v in loop.tensors().items())


def test_it_is_rounding_with_stashed_weights() -> None:
    job = with_errors(reversible_job("chain", "stash"))
    executor = ReferenceExecutor(job)
    executor.feed(samples(job, COUNT))
    executor.flush()
    assert max(errors(job.stages, executor.tensors()).values()) < 1e-14


def test_a_run_reports_it_by_stage(tmp_path: Path) -> None:
    sample = torch.zeros(1, 1, 8, 8), torch.zeros(1, dtype=torch.long)
    model = network("residual", torch.float32)
    plan = weft.compile(model, sample, "cross_entropy", "wse2", Options(reversible=True))
    settings = ["training.rebuilding_error=true", "optimizer.lr=0.001"]
    run = weft.train(plan, small_data(48), settings=settings, executor="reference", log=tmp_path)
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    listed = {row["stage"]: row["error"] for row in lines[-1]["rebuilding_errors"]}
    assert listed == run.rebuilding_errors
    assert lines[-1]["rebuilding_error"] == max(listed.values()) > 0
    assert len(listed) == 4  # of five; what the first one would rebuild nobody asks for
    run.write_back(model)  # what was measured in is no tensor of the model
