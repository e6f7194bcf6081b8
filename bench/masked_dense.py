"""How long masked dense products take on this host: zeros are multiplied like all else."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from statistics import median

import torch

from ..compiler.plan.plan import Plan
from ..compiler.plan.program import Stage


def masked_dense_us(plan: Plan, rounds: int = 30) -> dict[str, float]:
    """Median microseconds of the forward program of each stage with masks, batch size 1, in torch.

    It is what an executor without a sparse kernel runs: the stage's whole forward, on dense
    tensors that hold zeros. One thread.
    """
    masked = [s for s in plan.stages.stages if any(name in plan.masks for name in s.parameters)]
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return {stage.name: _median_us(_forward(plan, stage), rounds) for stage in masked}
    finally:
        torch.set_num_threads(threads)


def _forward(plan: Plan, stage: Stage) -> Callable[[], object]:
    own = [plan.tensors[name] for name in (*stage.parameters, *stage.forward_state)]
    given = [torch.ones(spec.shape, dtype=spec.torch_dtype) for spec in stage.program.inputs]
    return partial(stage.program.forward, *own, *given)


def _median_us(work: Callable[[], object], rounds: int) -> float:
    work()
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return 1e6 * median(times)
