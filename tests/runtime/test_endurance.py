"""Ten thousand samples: nothing is compiled again and nothing piles up."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.jobs import perceptron_job, samples, skip_net_job

jax = pytest.importorskip("jax")

from weft.runtime.jax.executor import JaxExecutor  # noqa: E402

FEW, MANY, PART = 2_000, 10_000, 250
COMPILED = "/jax/core/compile/backend_compile_duration"

# Seen: 24 KB, and 8 KB more after four times as many samples. Keeping 9 KB per feed of 250 samples,
# the size of its inputs, would give 288 KB; device arrays are counted exactly beside this.
GROWTH_BYTES = 200 * 2**10


@pytest.fixture
def compilations() -> Iterator[list[str]]:
    """Fills with one entry for each program that XLA compiles."""
    seen: list[str] = []

    def listener(event: str, seconds: float, **_: Any) -> None:
        if event == COMPILED:
            seen.append(event)

    jax.monitoring.register_event_duration_secs_listener(listener)
    yield seen
    jax.monitoring.clear_event_listeners()


def resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def feed(executor: JaxExecutor, inputs: list[np.ndarray], count: int) -> None:
    """Feed in parts, with a drain, an evaluation and a snapshot now and then."""
    for start in range(0, count, PART):
        executor.feed(inputs)
        if start % 1000 == 0:
            executor.flush()
            executor.evaluate(inputs)
            executor.snapshot()
    gc.collect()


def test_many_samples_leave_nothing_behind(compilations: list[str]) -> None:
    job = perceptron_job("sc+lwp")
    executor = JaxExecutor(job, chunk=128)
    inputs = samples(job, PART)
    feed(executor, inputs, FEW)
    assert compilations, "the listener hears of compilations"
    compilations.clear()
    arrays, resident = len(jax.live_arrays()), resident_bytes()
    feed(executor, inputs, MANY - FEW)
    assert executor.tick >= MANY
    assert not compilations
    assert len(jax.live_arrays()) == arrays
    assert resident_bytes() - resident <= GROWTH_BYTES


def test_convolutions_and_norms_compile_nothing_again(compilations: list[str]) -> None:
    """Their heap grows by 1 MB in 18,000 samples, and by nothing in 20,000 more: not held here."""
    job = skip_net_job("sc+lwp")
    executor = JaxExecutor(job, chunk=128)
    inputs = samples(job, PART)
    feed(executor, inputs, FEW // 2)
    compilations.clear()
    arrays = len(jax.live_arrays())
    feed(executor, inputs, FEW)
    assert not compilations
    assert len(jax.live_arrays()) == arrays
