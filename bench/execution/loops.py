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
from torch import nn

from ...backend.optim import Constant, Guard, build_rule
from ...compiler.capture.capture import capture
from ...compiler.stages.cut import cut
from ...runtime.executors import make_executor
from ...runtime.tick.job import Job, Mode
from .cases import HEADS, MOMENTUM, RATE, TimedCase

Train = Callable[[], Sequence[float]]
"""Train on the samples of a round; the losses."""


@dataclass(frozen=True)
class TrainingLoop:
    """A loop that is ready to train; see `LoopTimes` for the figures."""

    train: Train
    stages: int
    compile_s: float
    state_bytes: int
    temporary_bytes: int
    peak_bytes: int


def loops_of(case: TimedCase, device: str = "cpu") -> dict[str, Callable[[], TrainingLoop]]:
    """How to make each loop, by name.

    eager: torch; jax: JAX by hand without a pipeline, for networks that there is one of;
    sequential: weft with one stage; pipelined: weft with the finest stages, with each compensation.
    """
    found: dict[str, Callable[[], TrainingLoop]] = {"eager": partial(eager_loop, case, device)}
    if case.name in HANDWRITTEN:
        found["jax"] = partial(jax_loop, case)
    found["sequential"] = partial(weft_loop, case, "sequential", "none", device)
    for name in case.update.compensations:
        own = "pipelined" if name == "none" else f"pipelined {name}"
        found[own] = partial(weft_loop, case, "pipelined", name, device)
    return found


def eager_loop(case: TimedCase, device: str = "cpu") -> TrainingLoop:
    """Eager torch with torch.optim.SGD."""
    model = copy.deepcopy(case.model).train().to(device)
    update, parameters = case.update, list(model.parameters())
    decay = update.weight_decay
    optimizer = torch.optim.SGD(parameters, RATE, MOMENTUM, weight_decay=decay)
    samples = list(
        zip(torch.tensor(case.x).to(device), torch.tensor(case.y).to(device), strict=True)
    )

    def train() -> list[float]:
        losses = []
        for x, y in samples:
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
    return TrainingLoop(train, 1, 0.0, held, 0, _peak_bytes())


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
    return TrainingLoop(train, 1, compile_s, state, temporary, _peak_bytes())


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
    return TrainingLoop(train, count, executor.compile_seconds, *memory, _peak_bytes())


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
