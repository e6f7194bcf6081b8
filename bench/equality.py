"""How far the JAX executor is from the reference: every tensor that training makes, compared.

`relative` is the 2-norm of a tensor's difference over the 2-norm of the reference's tensor: what
single entries do says little, since one whose terms cancel has no digits to compare.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import jax
import numpy as np
import torch
from torch import Tensor

from ..runtime.jax_executor import JaxExecutor
from ..runtime.job import Executor, Job, Stream
from ..runtime.reference import ReferenceExecutor
from .equality_cases import case, job_of


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
    """A combination in float32, and in float64: what is rounding alone is 1e-9 as large there."""

    combination: Combination
    float32: Distance
    float64: Distance


def comparisons(
    model: str, samples: int, combinations: Iterable[Combination]
) -> Iterator[Comparison]:
    """Train a model of `equality_cases.CASES` by each combination, with both executors."""
    for chosen in combinations:
        found = [_compared(model, samples, chosen, t) for t in (torch.float32, torch.float64)]
        yield Comparison(chosen, *found)


def _compared(model: str, samples: int, chosen: Combination, dtype: torch.dtype) -> Distance:
    found = case(model, samples, dtype)
    job = job_of(found, chosen.rule, chosen.compensation, chosen.masks)
    with _types(dtype):
        return distance(job, found.inputs, JaxExecutor(job, chunk=64))


def _types(dtype: torch.dtype) -> AbstractContextManager[object]:
    """Where jax knows `dtype`."""
    return jax.enable_x64(True) if dtype == torch.float64 else nullcontext()


def relative(got: Tensor, expected: Tensor) -> float:
    """|got - expected| / |expected|; 0 where both are zero."""
    difference = float((got.double() - expected.double()).norm())
    return difference / float(expected.double().norm()) if difference else 0.0


def distance(job: Job, inputs: Sequence[np.ndarray], got: JaxExecutor) -> Distance:
    """Train `job` on `inputs` and drain, with `got` and with the reference."""
    expected = ReferenceExecutor(job)
    losses = [
        relative(*map(torch.from_numpy, pair))
        for pair in zip(_losses(got, inputs), _losses(expected, inputs), strict=True)
    ]
    mine = got.tensors()
    parts = {name: relative(mine[name], value) for name, value in expected.tensors().items()}
    optimizer = _optimizer_distances(got, expected)
    every = {name: max(part, optimizer.get(name, 0.0)) for name, part in parts.items()}
    worst = max(every, key=every.__getitem__)
    masks, own = expected.masks(), got.masks()
    return Distance(
        losses=max(losses),
        weights=max(parts[name] for name in expected.weights),
        optimizer=max(optimizer.values()),
        state=max((parts[name] for name in expected.state), default=0.0),
        others=max([*losses, *(far for name, far in every.items() if name != worst)]),
        masks_equal=all(torch.equal(own[name], mask) for name, mask in masks.items()),
        worst=worst,
    )


def _optimizer_distances(got: JaxExecutor, expected: ReferenceExecutor) -> Mapping[str, float]:
    """The largest difference of each parameter's optimizer state."""
    mine = got.model.optimizer
    return {
        name: max(
            _state_distance(key, mine[name][key], value, expected.weights[name])
            for key, value in values.items()
        )
        for name, values in expected.optimizer.items()
    }


def _state_distance(key: str, got: object, expected: Tensor, weight: Tensor) -> float:
    """`relative`; a step, being the difference of two weights, is rounded as they are."""
    mine = torch.from_numpy(np.array(got))
    if key != "step":
        return relative(mine, expected)
    return relative(weight + (mine - expected), weight)


def _losses(executor: Executor, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
    streams: list[Stream] = [executor.feed(inputs).losses, executor.flush().losses]
    return [np.asarray(stream.values, dtype=np.float64) for stream in streams]
