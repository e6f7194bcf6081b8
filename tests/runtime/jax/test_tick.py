"""Bytes on the device: what the stages' FIFOs and states need, and no second copy of them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from weft.backend.nn import resnet
from weft.backend.optim import Constant, build_rule
from weft.bench.models.bytes_model import ByteModel, byte_loss
from weft.compiler.capture.capture import capture
from weft.compiler.plan.program import HOST, Source, Stages, TensorSpec
from weft.compiler.stages.cut import cut
from weft.runtime.tick.job import Job

jax = pytest.importorskip("jax")

from weft.runtime.jax.executor import JaxExecutor  # noqa: E402
from weft.runtime.jax.home import OneDevice  # noqa: E402

WIDTH = 64


def perceptron() -> Job:
    layers = [layer for _ in range(6) for layer in (nn.Linear(WIDTH, WIDTH), nn.ReLU())][:-1]
    return job(nn.Sequential(*layers), (torch.zeros(1, WIDTH), torch.zeros(1).long()))


def convolutions() -> Job:
    return job(resnet(20, in_channels=1), (torch.zeros(1, 1, 8, 8), torch.zeros(1).long()))


def attention() -> Job:
    text = torch.zeros(1, 32).long()
    return job(ByteModel(blocks=3, width=64, heads=4, window=32), (text, text), byte_loss)


def job(
    model: nn.Module,
    sample: tuple[torch.Tensor, torch.Tensor],
    loss: Callable[[torch.Tensor, torch.Tensor], torch.Tensor] = F.cross_entropy,
) -> Job:
    stages = cut(capture(model, sample, loss))
    named = (*model.named_parameters(), *model.named_buffers())
    tensors = {name: tensor.detach() for name, tensor in named}
    return Job(stages, tensors, {}, build_rule("sgdm"), Constant(0.01))


def fifo_bytes(stages: Stages) -> int:
    """By the tick's definition: D + 1 samples of what is saved, edges as far as they reach.

    A value crosses to the next stage within a tick and needs one place; one that passes k stages
    on its way needs k + 1; one that is read in the tick that makes it needs none. Integers are 32
    bits wide on the device.
    """
    last, total = len(stages) - 1, 0
    for stage in stages.stages:
        delay = 2 * (last - stage.index)
        total += depth(delay) * sum(device_bytes(spec) for spec in stage.program.saved)
        for position, source in enumerate(stage.inputs):
            if stage.program.input_needs_grad[position]:
                total += depth(stage.index - source.stage) * device_bytes(value(stages, source))
    for source in {source for stage in stages.stages for source in stage.inputs}:
        made = max(source.stage, 0)
        read = max(stage.index for stage in stages.stages if source in stage.inputs)
        total += depth(read - made) * device_bytes(value(stages, source))
    return total


def depth(ticks: int) -> int:
    return ticks + 1 if ticks > 1 else ticks


def value(stages: Stages, source: Source) -> TensorSpec:
    if source.stage == HOST:
        return stages.model_inputs[source.output]
    return stages.stages[source.stage].program.outputs[source.output]


def device_bytes(spec: TensorSpec) -> int:
    return spec.size_bytes // (2 if spec.dtype == "int64" else 1)


def state_bytes(job: Job) -> int:
    """Weights and velocities of all parameters, and what normalization remembers."""
    total = 0
    for stage in job.stages.stages:
        for name in stage.tensors:
            copies = 2 if name in stage.parameters else 1
            total += copies * job.tensors[name].numel() * job.tensors[name].itemsize
    return total


@pytest.mark.parametrize("make", [perceptron, convolutions, attention])
def test_the_pipeline_holds_what_fifos_and_states_need(make: Callable[[], Job]) -> None:
    """Within 10 %, the bar; the rest is counters, 12 bytes a stage."""
    job = make()
    held = sum(leaf.nbytes for leaf in jax.tree.leaves(OneDevice(job).tick.start()))
    need = fifo_bytes(job.stages) + state_bytes(job)
    assert abs(held - need) <= 0.1 * need


def test_the_program_keeps_one_copy_and_makes_none() -> None:
    """Donated state comes back in its own place, and no tick needs room for a weight."""
    executor = JaxExecutor(perceptron(), chunk=16)
    held = sum(leaf.nbytes for leaf in jax.tree.leaves(executor.pipeline))
    assert executor.state_bytes == held
    inputs = 16 * (WIDTH * 4 + 4)
    memory = executor.program_memory
    assert held <= memory.argument_size_in_bytes <= held + inputs + 1024
    assert memory.alias_size_in_bytes >= 0.99 * held
    assert executor.temporary_bytes < WIDTH * WIDTH * 4
