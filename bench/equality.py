"""How far the JAX executor is from the reference: every tensor that training makes, compared.

`relative` is the 2-norm of a tensor's difference over the 2-norm of the reference's tensor: what
single entries do says little, since one whose terms cancel has no digits to compare.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..runtime.jax_executor import JaxExecutor
from ..runtime.job import Executor, Job, Stream
from ..runtime.reference import ReferenceExecutor


@dataclass(frozen=True)
class Distance:
    """The largest relative difference of each kind; `worst` is the tensor with the largest."""

    losses: float
    weights: float
    optimizer: float
    state: float
    masks_equal: bool
    worst: str

    @property
    def largest(self) -> float:
        """Over all kinds; infinite if a mask differs."""
        kinds = (self.losses, self.weights, self.optimizer, self.state)
        return max(kinds) if self.masks_equal else float("inf")


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
    mine, theirs = got.tensors(), expected.tensors()
    parts = {name: relative(mine[name], value) for name, value in theirs.items()}
    optimizer = {
        f"{key} of {name}": _state_distance(
            key, got.model.optimizer[name][key], value, theirs[name]
        )
        for name, values in expected.optimizer.items()
        for key, value in values.items()
    }
    masks, own = expected.masks(), got.masks()
    every = {**parts, **optimizer}
    return Distance(
        losses=max(losses),
        weights=max(parts[name] for name in expected.weights),
        optimizer=max(optimizer.values()),
        state=max((parts[name] for name in expected.state), default=0.0),
        masks_equal=all(torch.equal(own[name], mask) for name, mask in masks.items()),
        worst=max(every, key=every.__getitem__),
    )


def _state_distance(key: str, got: object, expected: Tensor, weight: Tensor) -> float:
    """`relative`; a step, being the difference of two weights, is rounded as they are."""
    mine = torch.from_numpy(np.array(got))
    if key != "step":
        return relative(mine, expected)
    return relative(weight + (mine - expected), weight)


def _losses(executor: Executor, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
    streams: list[Stream] = [executor.feed(inputs).losses, executor.flush().losses]
    return [np.asarray(stream.values, dtype=np.float64) for stream in streams]
