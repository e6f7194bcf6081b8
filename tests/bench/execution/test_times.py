"""Rows of `weft bench run`: ratios, what is left out when time is up, and what XLA compiles."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest
import torch.nn.functional as F
from torch import nn

jax = pytest.importorskip("jax")

from weft.bench.execution.cases import TimedCase, Update  # noqa: E402
from weft.bench.execution.compilations import Compilations  # noqa: E402
from weft.bench.execution.times import measure  # noqa: E402


def case() -> TimedCase:
    x = np.random.default_rng(0).standard_normal((3, 1, 6)).astype(np.float32)
    model = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 4))
    update = Update(compensations=("none", "stash"))
    return TimedCase("mlp", model, F.cross_entropy, x, np.zeros((3, 1), np.int64), update)


def test_all_loops_are_measured_and_compared() -> None:
    rows = {row.loop: row for row in measure(case(), rounds=2)}
    assert list(rows) == ["eager", "jax", "sequential", "pipelined", "pipelined stash"]
    assert rows["eager"].against_eager == rows["jax"].against_jax == 1
    assert rows["jax"].cpu_against_jax == rows["pipelined"].cpu_against_none == 1
    stash, none = rows["pipelined stash"], rows["pipelined"]
    ratio = stash.least_cpu_us / none.least_cpu_us
    assert stash.cpu_against_none == pytest.approx(ratio, rel=1e-6)
    assert none.stages == 3
    assert none.rounds == 2
    assert stash.state_bytes > none.state_bytes
    assert {row.compiled for row in rows.values()} == {0}


def test_batches_are_timed_by_the_sample() -> None:
    """A round of them is a whole batch, more samples than the other loops' rounds have."""
    layers = nn.Linear(6, 5), nn.BatchNorm1d(5), nn.Linear(5, 4)
    given = replace(case(), in_batches=nn.Sequential(*layers), update=Update())
    rows = {row.loop: row for row in measure(given, rounds=2)}
    batches, pipelined = rows["batches"], rows["pipelined"]
    assert (batches.samples, pipelined.samples) == (128, 3)
    assert batches.against_batches == 1
    assert pipelined.against_batches is not None
    assert next(iter(measure(case(), rounds=1))).against_batches is None


def test_when_time_is_up_nothing_more_is_begun() -> None:
    (only,) = measure(case(), rounds=5, until=time.monotonic())
    assert (only.loop, only.rounds, only.against_jax) == ("eager", 1, None)


def test_compilations_are_counted() -> None:
    x = np.arange(7.0, dtype=np.float32)
    with Compilations() as seen:
        run = jax.jit(lambda x: 3 * x + 41)
        run(x)
        assert seen.count == 1
        run(x)
        assert seen.count == 1
