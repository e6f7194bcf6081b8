"""How far the JAX executor is from the reference: every tensor that training makes, compared.

`relative` is the 2-norm of a tensor's difference over the 2-norm of the reference's tensor: what
single entries do says little, since one whose terms cancel has no digits to compare.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import jax
import numpy as np
import torch
from torch import Tensor

from ...runtime.jax.executor import JaxExecutor
from ...runtime.reference.executor import ReferenceExecutor
from ...runtime.tick.job import Job
from .cases import case, job_of


@dataclass(frozen=True)
class Distance:
    """The largest relative difference of each kind.

    `worst` is the parameter or state with the largest; `others` is the largest of all kinds without
    that tensor and its optimizer state.
    """

    losses: float
    weights: float
    optimizer: float
    state: float
    others: float
    masks_equal: bool
    worst: str

    @property
    def largest(self) -> float:
        """Over all kinds; infinite if a mask differs."""
        kinds = (self.losses, self.weights, self.optimizer, self.state)
        return max(kinds) if self.masks_equal else float("inf")


@dataclass(frozen=True)
class Combination:
    """One way to train: names of `equality_cases.RULES` and `equality_cases.MASKS`."""

    rule: str
    compensation: str
    masks: str


@dataclass(frozen=True)
class Comparison:
    """A combination in float32, and in float64: what is rounding alone is 1e-9 as large there.

    `nudged` is how far the reference in float64 ends from itself when its start values are off in
    their last bit: how much the training amplifies, whoever does the arithmetic.
    """

    combination: Combination
    float32: Distance
    float64: Distance
    nudged: Distance


def comparisons(
    model: str, samples: int, combinations: Iterable[Combination]
) -> Iterator[Comparison]:
    """Train a model of `equality_cases.CASES` by each combination, with both executors."""
    for chosen in combinations:
        ways = chosen.rule, chosen.compensation, chosen.masks
        narrow, wide = (case(model, samples, dtype) for dtype in (torch.float32, torch.float64))
        job, wide_job = job_of(narrow, *ways), job_of(wide, *ways)
        expected = end(ReferenceExecutor(wide_job), wide.inputs)
        with jax.enable_x64(True):
            got = end(JaxExecutor(wide_job, chunk=64), wide.inputs)
        yield Comparison(
            chosen,
            distance(job, narrow.inputs, JaxExecutor(job, chunk=64)),
            between(got, expected),
            between(end(ReferenceExecutor(_nudged(wide_job)), wide.inputs), expected),
        )


def _nudged(job: Job) -> Job:
    """The job with real start values that are off in their last bit."""
    values = {
        name: value * (1 + torch.finfo(value.dtype).eps) if value.is_floating_point() else value
        for name, value in job.tensors.items()
    }
    return replace(job, tensors=values)


def relative(got: Tensor, expected: Tensor) -> float:
    """|got - expected| / |expected|; 0 where both are zero."""
    difference = float((got.double() - expected.double()).norm())
    return difference / float(expected.double().norm()) if difference else 0.0


@dataclass(frozen=True)
class End:
    """What an executor gave and has when it is drained: losses, and tensors by model name."""

    losses: Sequence[np.ndarray]
    tensors: Mapping[str, Tensor]
    optimizer: Mapping[str, Mapping[str, Tensor]]
    masks: Mapping[str, Tensor]


def end(executor: JaxExecutor | ReferenceExecutor, inputs: Sequence[np.ndarray]) -> End:
    """Train on `inputs` and drain."""
    results = executor.feed(inputs), executor.flush()
    is_jax = isinstance(executor, JaxExecutor)
    states: Mapping[str, Any] = executor.model.optimizer if is_jax else executor.optimizer
    optimizer = {
        name: {key: _tensor(value) for key, value in own.items()} for name, own in states.items()
    }
    losses = [np.asarray(result.losses.values, dtype=np.float64) for result in results]
    return End(losses, executor.tensors(), optimizer, executor.masks())


def _tensor(value: Any) -> Tensor:
    return value if isinstance(value, Tensor) else torch.from_numpy(np.array(value))


def distance(job: Job, inputs: Sequence[np.ndarray], got: JaxExecutor) -> Distance:
    """Train `job` on `inputs` and drain, with `got` and with the reference."""
    return between(end(got, inputs), end(ReferenceExecutor(job), inputs))


def between(got: End, expected: End) -> Distance:
    """How far `got` is from what was expected."""
    losses = [
        relative(*map(torch.from_numpy, pair))
        for pair in zip(got.losses, expected.losses, strict=True)
    ]
    parts = {name: relative(got.tensors[name], v) for name, v in expected.tensors.items()}
    optimizer = {
        name: max(
            _state_distance(key, got.optimizer[name][key], value, expected.tensors[name])
            for key, value in own.items()
        )
        for name, own in expected.optimizer.items()
    }
    every = {name: max(part, optimizer.get(name, 0.0)) for name, part in parts.items()}
    worst = max(every, key=every.__getitem__)
    masks = expected.masks.items()
    return Distance(
        losses=max(losses),
        weights=max(parts[name] for name in optimizer),
        optimizer=max(optimizer.values()),
        state=max((far for name, far in parts.items() if name not in optimizer), default=0.0),
        others=max([*losses, *(far for name, far in every.items() if name != worst)]),
        masks_equal=all(torch.equal(got.masks[name], mask) for name, mask in masks),
        worst=worst,
    )


def _state_distance(key: str, got: Tensor, expected: Tensor, weight: Tensor) -> float:
    """`relative`; a step, being the difference of two weights, is rounded as they are."""
    if key != "step":
        return relative(got, expected)
    return relative(weight + (got - expected), weight)
