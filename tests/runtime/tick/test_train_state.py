"""Frozen parameters: no gradient, no update, in every executor."""

from __future__ import annotations

import pytest
import torch
from helpers.jobs import job_of, perceptron, samples
from helpers.stages_of import stages_of
from weft.runtime.jax.executor import JaxExecutor
from weft.runtime.reference.executor import ReferenceExecutor, SequentialReference
from weft.runtime.tick.job import Job

FROZEN = ("0.weight", "2.weight", "2.bias")
"""Part of a stage, and all of the next."""


def _job() -> Job:
    torch.manual_seed(0)
    model = perceptron()
    for name in FROZEN:
        model.get_parameter(name).requires_grad_(False)
    return job_of(model, stages_of(model, torch.zeros(1, 9)))


def _trained(executor, job: Job) -> dict[str, torch.Tensor]:
    executor.feed(samples(job, 30))
    executor.flush()
    return executor.tensors()


@pytest.mark.parametrize("kind", [ReferenceExecutor, SequentialReference, JaxExecutor])
def test_frozen_parameters_stay_and_the_others_move(kind: type) -> None:
    job = _job()
    after = _trained(kind(job), job)
    for name, value in job.tensors.items():
        assert torch.equal(torch.as_tensor(after[name]), value) == (name in FROZEN), name


def test_executors_agree_on_what_is_left_to_train() -> None:
    job = _job()
    reference, jax = _trained(ReferenceExecutor(job), job), _trained(JaxExecutor(job), job)
    for name, value in reference.items():
        torch.testing.assert_close(torch.as_tensor(jax[name]), value, rtol=1e-4, atol=1e-5)
