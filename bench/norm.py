"""What Online Normalization costs beside GroupNorm in eager torch, at batch size 1."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from time import perf_counter

import torch
from torch import nn

from ..backend.nn import make_norm

_STEPS = 20


@dataclass(frozen=True)
class NormTimes:
    """Medians over rounds, of one forward + backward. `ratio` is the median of the rounds' ratios.

    Rounds alternate between the two, so another load of the machine slows both alike.
    """

    shape: tuple[int, ...]
    threads: int
    rounds: int
    group_norm_us: float
    online_norm_us: float
    ratio: float


def norm_times(
    shape: tuple[int, ...] = (1, 64, 32, 32), rounds: int = 100, threads: int = 1
) -> NormTimes:
    """Time OnlineNorm (affine, clamp) and GroupNorm (affine) on float32 (N, C, *spatial)."""
    former = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        group, online = (_step(make_norm(kind, shape[1]), shape) for kind in ("group", "online"))
        for step in (group, online):
            _seconds(step)  # compiles and warms up
        pairs = [(_seconds(group), _seconds(online)) for _ in range(rounds)]
    finally:
        torch.set_num_threads(former)
    return NormTimes(
        shape,
        threads,
        rounds,
        group_norm_us=1e6 * median(first for first, _ in pairs),
        online_norm_us=1e6 * median(second for _, second in pairs),
        ratio=median(second / first for first, second in pairs),
    )


def _step(norm: nn.Module, shape: tuple[int, ...]) -> Callable[[], None]:
    x, grad = torch.randn(shape, requires_grad=True), torch.randn(shape)
    leaves = [x, *norm.parameters()]

    def step() -> None:
        norm(x).backward(grad)
        for leaf in leaves:
            leaf.grad = None

    return step


def _seconds(step: Callable[[], None]) -> float:
    start = perf_counter()
    for _ in range(_STEPS):
        step()
    return (perf_counter() - start) / _STEPS
