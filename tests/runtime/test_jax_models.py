"""Whole models through the XLA program and the reference: a decoder and a U-Net."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from helpers.jobs import TiedNet, job_of, samples
from helpers.stages_of import stages_of
from torch import nn
from weft.bench.models.bytes_model import ByteModel, byte_loss
from weft.bench.models.u_net import UNet
from weft.runtime.reference.executor import ReferenceExecutor
from weft.runtime.tick.job import Job

pytest.importorskip("jax")

from weft.runtime.jax.executor import JaxExecutor

# Relative to the norm of the tensor, after as many updates as there are samples (float32).
BOUND = 1e-5


def decoder_job(model: ByteModel, compensation: str) -> tuple[Job, list[np.ndarray]]:
    window = model.places.shape[1]
    stages = stages_of(
        model, torch.zeros(1, window, dtype=torch.long), byte_loss, torch.zeros(1, window).long()
    )
    text = np.random.default_rng(0).integers(0, 256, (200, window + 1))
    job = job_of(_with_buffers(model), stages, compensation=compensation)
    return job, [text[:, :-1], text[:, 1:]]


def _with_buffers(model: nn.Module) -> nn.Module:
    """With the buffers in the state that torch leaves out of it."""
    for module in model.modules():
        module._non_persistent_buffers_set.clear()
    return model


def u_net_job(compensation: str) -> tuple[Job, list[np.ndarray]]:
    model = UNet()
    image = torch.zeros(1, 1, 8, 8)
    stages = stages_of(model, image, F.mse_loss, image)
    x = np.random.default_rng(0).standard_normal((200, 1, 8, 8)).astype(np.float32)
    return job_of(model, stages, compensation=compensation), [x, np.abs(x)]


def same(job: Job, inputs: list[np.ndarray]) -> None:
    got, expected = JaxExecutor(job, chunk=64), ReferenceExecutor(job)
    for executor in (got, expected):
        executor.feed(inputs)
        executor.flush()
    mine, theirs = got.tensors(), expected.tensors()
    for name in (name for stage in job.stages.stages for name in stage.trained):
        assert not torch.equal(theirs[name], job.start(name)), f"{name} was not trained"
    assert mine.keys() == theirs.keys()
    for name, value in theirs.items():
        error = (mine[name] - value).norm()
        assert error <= BOUND * value.norm(), f"{name}: {error / value.norm()}"


def test_decoder_equals_reference() -> None:
    torch.manual_seed(0)
    same(*decoder_job(ByteModel(blocks=1, width=16, heads=2, window=6), "sc+lwp"))


@pytest.mark.parametrize("compensation", ["none", "stash", "sc+lwp"])
def test_u_net_equals_reference(compensation: str) -> None:
    torch.manual_seed(0)
    same(*u_net_job(compensation))


@pytest.mark.parametrize("compensation", ["none", "stash", "sc+lwp"])
def test_tied_weights_equal_reference(compensation: str) -> None:
    torch.manual_seed(0)
    model = TiedNet()
    job = job_of(model, stages_of(model, torch.zeros(1, 3)), compensation=compensation)
    same(job, samples(job, 200))
