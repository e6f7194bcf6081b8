"""`weft bench run`: what a sample costs, by weft and by the loops a user would write instead.

All train with SGD and momentum at batch size 1, see `Update`. In every round each loop trains on
the same number of samples, one loop after the other, so another load of the machine slows all
alike.
"""

from __future__ import annotations

import copy
import resource
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from statistics import median
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..backend.errors import UnknownNameError
from ..backend.nn import resnet
from ..backend.optim import Constant, Guard, build_rule
from ..compiler.capture.capture import capture
from ..compiler.stages.cut import cut
from ..runtime.executors import make_executor
from ..runtime.tick.job import Job, Mode
from .models.bytes_model import ByteModel, byte_loss

RATE, MOMENTUM = 1e-4, 0.9
LOOPS = ("eager", "jax", "sequential", "pipelined")
"""Eager torch; JAX by hand without a pipeline; weft with one stage; weft with the finest stages."""

_HEADS, _WINDOW = 8, 64
Train = Callable[[], Sequence[float]]


@dataclass(frozen=True)
class Update:
    """What all loops do with a gradient; only weft's pipeline is in need of a compensation.

    `clip_norm` is that of all gradients of a sample together, and in weft of those of a stage.
    """

    weight_decay: float = 0.0
    clip_norm: float | None = None
    compensation: str = "none"


UPDATES: Mapping[str, Update] = {
    "plain": Update(),
    "compensated": Update(weight_decay=2e-4, clip_norm=1.0, compensation="sc+lwp"),
}


@dataclass(frozen=True)
class Case:
    """A network, its loss, the samples (x, y) of a round with one row each, and its update."""

    name: str
    model: nn.Module
    loss: Callable[[Tensor, Tensor], Tensor]
    x: np.ndarray
    y: np.ndarray
    update: Update = Update()

    @property
    def samples(self) -> int:
        """Samples of a round."""
        return len(self.x)

    def tensors(self) -> dict[str, Tensor]:
        """Copies of parameters and buffers by name."""
        named = {**dict(self.model.named_parameters()), **dict(self.model.named_buffers())}
        return {name: value.detach().clone() for name, value in named.items()}


@dataclass(frozen=True)
class LoopTimes:
    """One loop on one network.

    `us` is the median time per sample over rounds, `cpu_us` that of the process's processor time,
    which another load of the machine disturbs less. `against_eager` and `against_jax` are medians
    of the rounds' ratios of time per sample to that of the loop named, `cpu_against_eager` and
    `cpu_against_jax` those of processor time. `compile_s` is elapsed. `state_bytes` is what
    training keeps on the device from sample to sample, FIFOs included, `temporary_bytes` what XLA's
    program needs beside its arguments, `peak_bytes` the most this process ever held until the loop
    was ready, all earlier loops included.
    """

    network: str
    loop: str
    stages: int
    us: float
    samples_per_s: float
    against_eager: float
    against_jax: float
    cpu_us: float
    cpu_against_eager: float
    cpu_against_jax: float
    compile_s: float
    state_bytes: int
    temporary_bytes: int
    peak_bytes: int


@dataclass(frozen=True)
class _Loop:
    train: Train
    stages: int
    compile_s: float
    state_bytes: int
    temporary_bytes: int
    peak_bytes: int


@dataclass(frozen=True)
class _Times:
    """Seconds per sample, one entry per round."""

    elapsed: list[float]
    processor: list[float]

    def add(self, train: Train, samples: int) -> None:
        wall, processor = time.perf_counter(), time.process_time()
        train()
        self.elapsed.append((time.perf_counter() - wall) / samples)
        self.processor.append((time.process_time() - processor) / samples)


def measure(case: Case, rounds: int) -> list[LoopTimes]:
    """Time all loops on one network, `rounds` rounds each after one to warm up."""
    loops = {name: _MAKE[name](case) for name in LOOPS}
    for loop in loops.values():
        loop.train()
    times = {name: _Times([], []) for name in LOOPS}
    for _ in range(rounds):
        for name, loop in loops.items():
            times[name].add(loop.train, case.samples)
    eager, by_hand = times["eager"], times["jax"]
    return [
        LoopTimes(
            network=case.name,
            loop=name,
            stages=loop.stages,
            us=1e6 * median(own.elapsed),
            samples_per_s=1 / median(own.elapsed),
            against_eager=_ratio(own.elapsed, eager.elapsed),
            against_jax=_ratio(own.elapsed, by_hand.elapsed),
            cpu_us=1e6 * median(own.processor),
            cpu_against_eager=_ratio(own.processor, eager.processor),
            cpu_against_jax=_ratio(own.processor, by_hand.processor),
            compile_s=loop.compile_s,
            state_bytes=loop.state_bytes,
            temporary_bytes=loop.temporary_bytes,
            peak_bytes=loop.peak_bytes,
        )
        for (name, loop), own in zip(loops.items(), times.values(), strict=True)
    ]


def make_case(name: str, samples: int, update: str = "plain") -> Case:
    """The network 'mlp', 'gpt' or 'resnet20' with the update 'plain' or 'compensated'.

    Raises UnknownNameError for others.
    """
    for kind, given, known in (("network", name, CASES), ("update", update, UPDATES)):
        if given not in known:
            raise UnknownNameError(kind, given, tuple(known), "weft bench run --help")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        case = CASES[name](np.random.default_rng(0), samples)
    return replace(case, update=UPDATES[update])


def _mlp(generator: np.random.Generator, samples: int) -> Case:
    layers = [layer for _ in range(10) for layer in (nn.Linear(256, 256), nn.ReLU())][:-1]
    x = generator.standard_normal((samples, 1, 256)).astype(np.float32)
    y = generator.integers(0, 256, (samples, 1))
    return Case("mlp", nn.Sequential(*layers), F.cross_entropy, x, y)


def _gpt(generator: np.random.Generator, samples: int) -> Case:
    model = ByteModel(blocks=6, width=256, heads=_HEADS, window=_WINDOW)
    text = generator.integers(0, 256, (samples, 1, _WINDOW + 1))
    return Case("gpt", model, byte_loss, text[..., :-1], text[..., 1:])


def _resnet20(generator: np.random.Generator, samples: int) -> Case:
    x = generator.standard_normal((samples, 1, 3, 32, 32)).astype(np.float32)
    y = generator.integers(0, 10, (samples, 1))
    return Case("resnet20", resnet(20), F.cross_entropy, x, y)


CASES: Mapping[str, Callable[[np.random.Generator, int], Case]] = {
    "mlp": _mlp,
    "gpt": _gpt,
    "resnet20": _resnet20,
}


def handwritten_loss(case: Case) -> Any:
    """The loss of `bench/handwritten.py` for a network."""
    from . import handwritten

    if case.name == "gpt":
        return partial(handwritten.gpt_loss, heads=_HEADS)
    if case.name == "mlp":
        return handwritten.mlp_loss
    blocks: Any = case.model.get_submodule("blocks")
    strides = {f"blocks.{n}": block.conv1.stride[0] for n, block in enumerate(blocks)}
    return partial(handwritten.resnet_loss, strides=strides)


def eager_loop(case: Case) -> _Loop:
    """Eager torch with torch.optim.SGD."""
    model = copy.deepcopy(case.model).train()
    update, parameters = case.update, list(model.parameters())
    decay = update.weight_decay
    optimizer = torch.optim.SGD(parameters, RATE, MOMENTUM, weight_decay=decay)
    samples = list(zip(torch.tensor(case.x), torch.tensor(case.y), strict=True))

    def train() -> list[float]:
        losses = []
        for x, y in samples:
            optimizer.zero_grad()
            loss = case.loss(model(x), y)
            loss.backward()
            if update.clip_norm is not None:
                nn.utils.clip_grad_norm_(parameters, update.clip_norm)
            optimizer.step()
            losses.append(float(loss.detach()))
        return losses

    held = 2 * sum(value.nbytes for value in model.parameters())  # weights and velocities
    held += sum(value.nbytes for value in model.buffers())
    return _Loop(train, 1, 0.0, held, 0, _peak_bytes())


def jax_loop(case: Case) -> _Loop:
    """The loop of `bench/handwritten.py`."""
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
    loss = handwritten_loss(case)
    began = time.perf_counter()
    given = (jnp.asarray(case.x), jnp.asarray(case.y))
    constants = (RATE, MOMENTUM, case.update.weight_decay, case.update.clip_norm)
    program: Any = train_chunk.lower(loss, *held, given, *constants).compile()
    compile_s = time.perf_counter() - began

    def train() -> list[float]:
        samples = (jnp.asarray(case.x), jnp.asarray(case.y))
        parameters, carried, losses = program(*held, samples)
        held[:] = parameters, carried
        return np.asarray(losses).tolist()

    temporary = program.memory_analysis().temp_size_in_bytes
    state = sum(leaf.nbytes for leaf in jax.tree.leaves(held))
    return _Loop(train, 1, compile_s, state, temporary, _peak_bytes())


def make_job(case: Case, mode: Mode = "pipelined") -> Job:
    """The network at the finest granularity, with the same update as the other loops."""
    sample = (torch.tensor(case.x[0]), torch.tensor(case.y[0]))
    stages = cut(capture(case.model, sample, case.loss))
    update = case.update
    compensation = update.compensation if mode == "pipelined" else "none"
    decay = update.weight_decay
    rule = build_rule("sgdm", momentum=MOMENTUM, weight_decay=decay, compensation=compensation)
    return Job(stages, case.tensors(), {}, rule, Constant(RATE), Guard(update.clip_norm))


def weft_loop(case: Case, mode: Mode) -> _Loop:
    """The JAX executor, fed without draining in between."""
    job = make_job(case, mode)
    executor: Any = make_executor("jax", job, mode)

    def train() -> list[float]:
        return executor.feed([case.x, case.y]).losses.values.tolist()

    count = len(job.stages) if mode == "pipelined" else 1
    memory = executor.state_bytes, executor.temporary_bytes
    return _Loop(train, count, executor.compile_seconds, *memory, _peak_bytes())


_MAKE: Mapping[str, Callable[[Case], _Loop]] = {
    "eager": eager_loop,
    "jax": jax_loop,
    "sequential": partial(weft_loop, mode="sequential"),
    "pipelined": partial(weft_loop, mode="pipelined"),
}


def _ratio(times: Sequence[float], others: Sequence[float]) -> float:
    return median(mine / other for mine, other in zip(times, others, strict=True))


def _peak_bytes() -> int:
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
