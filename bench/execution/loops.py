"""The loops that are timed: each trains on the same samples with the same update."""

from __future__ import annotations

import copy
import resource
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ...backend.optim import Constant, Guard, build_rule
from ...compiler.capture.capture import capture
from ...compiler.stages.cut import cut
from ...runtime.executors import make_executor
from ...runtime.tick.job import Job, Mode
from .cases import HEADS, MOMENTUM, RATE, TimedCase

BATCH = 128
"""Samples of a step of the loop in batches."""

Train = Callable[[], Sequence[float]]
"""Train on the samples of a round; the losses."""


@dataclass(frozen=True)
class TrainingLoop:
    """A loop that is ready to train on `samples`; see `LoopTimes` for the figures."""

    train: Train
    samples: int
    stages: int
    compile_s: float
    state_bytes: int | None
    temporary_bytes: int | None
    peak_bytes: int


def loops_of(
    case: TimedCase, device: str = "cpu", with_torch_xla: bool = False
) -> dict[str, Callable[[], TrainingLoop]]:
    """How to make each loop, by name.

    eager: torch; batches: torch with BatchNorm, BATCH samples at a time, for networks with a norm;
    jax: JAX by hand without a pipeline, for networks that there is one of; sequential: weft with
    one stage; pipelined: weft with the finest stages, with each compensation; torch-xla: the same
    by that executor.
    """
    found: dict[str, Callable[[], TrainingLoop]] = {"eager": partial(eager_loop, case, device)}
    if case.in_batches is not None:
        found["batches"] = partial(batch_loop, case, case.in_batches, device)
    if case.name in HANDWRITTEN:
        found["jax"] = partial(jax_loop, case)
    found["sequential"] = partial(weft_loop, case, "sequential", "none", device)
    for name in case.update.compensations:
        own = "" if name == "none" else f" {name}"
        found["pipelined" + own] = partial(weft_loop, case, "pipelined", name, device)
        if with_torch_xla:
            found["torch-xla" + own] = partial(torch_xla_loop, case, name, device)
    return found


def eager_loop(case: TimedCase, device: str = "cpu") -> TrainingLoop:
    """Eager torch with torch.optim.SGD."""
    samples = list(
        zip(torch.tensor(case.x).to(device), torch.tensor(case.y).to(device), strict=True)
    )
    return _eager(case, case.model, samples, case.samples, device)


def batch_loop(case: TimedCase, model: nn.Module, device: str = "cpu") -> TrainingLoop:
    """The same with another model, in batches of BATCH, the samples of a round over and over."""
    count = -(-case.samples // BATCH) * BATCH
    numbers = np.arange(count) % case.samples
    x, y = (torch.tensor(a[numbers, 0]).to(device).split(BATCH) for a in (case.x, case.y))
    return _eager(case, model, list(zip(x, y, strict=True)), count, device)


def _eager(
    case: TimedCase,
    model: nn.Module,
    batches: Sequence[tuple[Tensor, Tensor]],
    samples: int,
    device: str,
) -> TrainingLoop:
    model = copy.deepcopy(model).train().to(device)
    update, parameters = case.update, list(model.parameters())
    decay = update.weight_decay
    optimizer = torch.optim.SGD(parameters, RATE, MOMENTUM, weight_decay=decay)

    def train() -> list[float]:
        losses = []
        for x, y in batches:
            optimizer.zero_grad()
            loss = case.loss(model(x), y)
            loss.backward()
            if update.clip_norm is not None:
                nn.utils.clip_grad_norm_(parameters, update.clip_norm)
            optimizer.step()
            losses.append(loss.detach())
        return torch.stack(losses).tolist()

    held = 2 * sum(value.nbytes for value in model.parameters())  # weights and velocities
    held += sum(value.nbytes for value in model.buffers())
    return TrainingLoop(train, samples, 1, 0.0, held, 0, _peak_bytes())


def jax_loop(case: TimedCase) -> TrainingLoop:
    """The loop of `handwritten.py`, on jax's default device."""
    import jax
    import jax.numpy as jnp

    from .handwritten import train_chunk

    linear = [name for name, part in case.model.named_modules() if isinstance(part, nn.Linear)]
    tensors = {name: jnp.array(value.numpy()) for name, value in case.tensors().items()}
    tensors |= {f"{name}.weight": tensors[f"{name}.weight"].T for name in linear}
    names = dict(case.model.named_parameters())
    parameters = {name: value for name, value in tensors.items() if name in names}
    velocity = {name: jnp.zeros_like(value) for name, value in parameters.items()}
    is_normalized = any(name.endswith(".u") for name in tensors)
    rest = {name: value for name, value in tensors.items() if name not in names}
    held: list[Any] = [parameters, (velocity, rest if is_normalized else {})]
    loss = HANDWRITTEN[case.name](case)
    began = time.perf_counter()
    given = (jax.device_put(case.x), jax.device_put(case.y))
    constants = (RATE, MOMENTUM, case.update.weight_decay, case.update.clip_norm)
    program: Any = train_chunk.lower(loss, *held, given, *constants).compile()
    compile_s = time.perf_counter() - began

    def train() -> list[float]:
        samples = (jax.device_put(case.x), jax.device_put(case.y))
        parameters, carried, losses = program(*held, samples)
        held[:] = parameters, carried
        return np.asarray(losses).tolist()

    temporary = program.memory_analysis().temp_size_in_bytes
    state = sum(leaf.nbytes for leaf in jax.tree.leaves(held))
    return TrainingLoop(train, case.samples, 1, compile_s, state, temporary, _peak_bytes())


def make_job(case: TimedCase, mode: Mode = "pipelined", compensation: str = "none") -> Job:
    """The network at the finest granularity, with the same update as the other loops."""
    sample = (torch.tensor(case.x[0]), torch.tensor(case.y[0]))
    stages = cut(capture(case.model, sample, case.loss))
    compensation = compensation if mode == "pipelined" else "none"
    decay = case.update.weight_decay
    rule = build_rule("sgdm", momentum=MOMENTUM, weight_decay=decay, compensation=compensation)
    return Job(stages, case.tensors(), {}, rule, Constant(RATE), Guard(case.update.clip_norm))


def weft_loop(
    case: TimedCase, mode: Mode, compensation: str = "none", device: str | None = None
) -> TrainingLoop:
    """The JAX executor, fed without draining in between."""
    job = make_job(case, mode, compensation)
    executor: Any = make_executor("jax", job, mode, device)

    def train() -> list[float]:
        return executor.feed([case.x, case.y]).losses.values.tolist()

    count = len(job.stages) if mode == "pipelined" else 1
    memory = executor.state_bytes, executor.temporary_bytes
    compile_s = executor.compile_seconds
    return TrainingLoop(train, case.samples, count, compile_s, *memory, _peak_bytes())


def torch_xla_loop(
    case: TimedCase, compensation: str = "none", device: str | None = None
) -> TrainingLoop:
    """The torch-xla executor with the finest stages; it does not tell its memory."""
    job = make_job(case, "pipelined", compensation)
    executor: Any = make_executor("torch-xla", job, "pipelined", device)

    def train() -> list[float]:
        return executor.feed([case.x, case.y]).losses.values.tolist()

    compile_s = executor.compile_seconds
    return TrainingLoop(train, case.samples, len(job.stages), compile_s, None, None, _peak_bytes())


def _mlp(case: TimedCase) -> Any:
    from .handwritten import mlp_loss

    return mlp_loss


def _gpt(case: TimedCase) -> Any:
    from .handwritten import gpt_loss

    return partial(gpt_loss, heads=HEADS)


def _resnet20(case: TimedCase) -> Any:
    from .handwritten import resnet_loss

    blocks: Any = case.model.get_submodule("blocks")
    strides = {f"blocks.{n}": block.conv1.stride[0] for n, block in enumerate(blocks)}
    return partial(resnet_loss, strides=strides)


HANDWRITTEN: Mapping[str, Callable[[TimedCase], Any]] = {
    "mlp": _mlp,
    "gpt": _gpt,
    "resnet20": _resnet20,
}
"""The loss of `handwritten.py` by network."""


def _peak_bytes() -> int:
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
