"""One stage's forward, backward and update, on arrays of torch or jax.numpy."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers.bad_samples import BAD, poisoned
from helpers.jobs import job_of, perceptron_job, samples, skip_net_job
from torch import Tensor, nn
from weft.backend.optim import Guard
from weft.compiler.capture.capture import capture
from weft.compiler.stages.cut import cut
from weft.runtime.executors import make_executor
from weft.runtime.reference.executor import SequentialReference
from weft.runtime.tick.job import Executor, Skips


@pytest.fixture(scope="module", params=["reference", "jax"])
def name(request: pytest.FixtureRequest) -> str:
    if request.param == "jax":
        pytest.importorskip("jax")
    return request.param


def fed(executor: Executor, inputs: list[np.ndarray]) -> np.ndarray:
    return np.concatenate([executor.feed(inputs).losses.values, executor.flush().losses.values])


def same_tensors(one: Executor, other: Executor) -> None:
    expected = other.tensors()
    for key, value in one.tensors().items():
        assert torch.isfinite(value).all(), key
        assert torch.equal(value, expected[key]), key


def test_a_bad_sample_is_as_if_it_had_never_come(name: str) -> None:
    """Sample after sample at a constant rate: weights, momentum and Online Normalization."""
    job = replace(skip_net_job("none"), schedule=lambda update: 0.02)
    x, y = poisoned(job, 30)
    good = [n for n in range(30) if n not in BAD]
    executor, without = (make_executor(name, job, "sequential") for _ in range(2))
    losses = fed(executor, [x, y])
    assert np.flatnonzero(~np.isfinite(losses)).tolist() == list(BAD)
    np.testing.assert_array_equal(losses[good], fed(without, [x[good], y[good]]))
    same_tensors(executor, without)


def test_each_stage_skips_and_counts_bad_samples(name: str) -> None:
    job = skip_net_job("sc+lwp")
    executor = make_executor(name, job, "pipelined")
    fed(executor, poisoned(job, 30))
    for stage, skips in zip(job.stages.stages, executor.skips(), strict=True):
        assert skips == (Skips(4, 0, 3) if stage.parameters else Skips())
    assert all(torch.isfinite(value).all() for value in executor.tensors().values())


class Offset(nn.Module):
    """A loss that is infinite with its target, while its gradient stays finite."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(3))

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return (self.scale * x).sum() + y.sum()


def test_an_infinite_loss_with_a_finite_gradient_is_skipped_too(name: str) -> None:
    model = Offset()
    stages = cut(capture(model, (torch.zeros(1, 3), torch.zeros(1, 3)), None))
    job = replace(job_of(model, stages), schedule=lambda update: 0.1)
    x = np.ones((3, 3), np.float32)
    y = np.zeros((3, 3), np.float32)
    y[1] = np.inf
    executor, without = (make_executor(name, job, "sequential") for _ in range(2))
    fed(executor, [x, y])
    fed(without, [x[[0, 2]], y[[0, 2]]])
    same_tensors(executor, without)
    assert executor.skips()[0] == Skips(1, 0, 1)


def test_clipping_bounds_each_step_of_each_stage(name: str) -> None:
    """Without momentum and decay, a stage's step is at most rate x clip_norm."""
    job = perceptron_job("none")
    job = replace(job, rule=replace(job.rule, momentum=0.0, weight_decay=0.0))
    clipped = replace(job, guard=Guard(0.05), schedule=lambda update: 1.0)
    x, y = samples(job, 12)
    executor = make_executor(name, clipped, "sequential")
    largest = []
    before = executor.tensors()
    for i in range(12):
        executor.feed([x[i : i + 1], y[i : i + 1]])
        after = executor.tensors()
        for stage in job.stages.stages:
            steps = [(after[key] - before[key]).reshape(-1) for key in stage.parameters]
            if steps:
                largest.append(float(torch.cat(steps).norm()))
        before = after
    assert max(largest) == pytest.approx(0.05, rel=1e-3)


def test_clipping_equals_torch() -> None:
    """Against a written-out loop with autograd and clip_grad_norm_ per layer."""
    job = perceptron_job("none")
    job = replace(job, guard=Guard(0.3))
    executor = SequentialReference(job)
    x, y = samples(job, 20)
    executor.feed([x, y])
    model = nn.Sequential(
        nn.Linear(9, 16), nn.Tanh(), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 3)
    )
    model.load_state_dict(dict(job.tensors))
    optimizer = torch.optim.SGD(model.parameters(), 1.0, momentum=0.9, weight_decay=1e-3)
    for i in range(20):
        optimizer.param_groups[0]["lr"] = job.rate(i)
        optimizer.zero_grad()
        sample = torch.from_numpy(x[i : i + 1].astype(np.float32))
        nn.functional.cross_entropy(model(sample), torch.tensor(y[i : i + 1])).backward()
        for layer in (model[0], model[2], model[4]):
            nn.utils.clip_grad_norm_(layer.parameters(), 0.3)
        optimizer.step()
    for key, value in executor.tensors().items():
        torch.testing.assert_close(value, model.state_dict()[key], rtol=1e-4, atol=1e-5)
