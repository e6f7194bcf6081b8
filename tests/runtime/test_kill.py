"""kill -9 at random moments: whatever was killed when, the resumed run ends in the same bits."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import time
from multiprocessing.connection import Connection
from pathlib import Path

import pytest
import weft
from helpers.plans_to_train import assert_same_end, small_data, small_plan
from helpers.training_process import train
from weft.compiler.plan.plan import Plan
from weft.runtime.checkpoint import found_in, read
from weft.runtime.training.report import RunReport

KILLS = {"reference": 14, "jax": 6}  # compiling takes most of the time of the latter
EVERY = 8  # so that many kills fall into the writing of a checkpoint
LONGEST_S = 0.3
MODULES = ["weft.api", "weft.runtime.reference.executor", "weft.runtime.jax.executor", "sklearn"]


EPOCHS = {"reference": 12, "jax": 20}


@pytest.fixture(scope="module")
def server() -> multiprocessing.context.ForkServerContext:
    """Starts processes quickly: they are forked from one that has imported everything."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(MODULES)
    return context


def kill_at_random(process, news: Connection, generator: random.Random) -> bool:
    """Whether it was still running when it was killed."""
    news.recv()  # the first chunk has been trained
    time.sleep(generator.uniform(0, LONGEST_S))
    process.kill()
    process.join()
    return process.exitcode == -signal.SIGKILL


@pytest.mark.slow
@pytest.mark.parametrize("executor", ["reference", "jax"])
def test_killed_runs_end_in_the_same_bits(executor: str, server, tmp_path: Path) -> None:
    if executor == "jax":
        pytest.importorskip("jax")
    plan: Plan = small_plan()
    plan.save(tmp_path / "plan")
    whole = weft.train(plan, small_data(), executor=executor, epochs=EPOCHS[executor])
    generator = random.Random(executor)
    kills, runs, positions = 0, 0, set[int]()
    directory = tmp_path / str(runs)
    while kills < KILLS[executor]:
        ours, theirs = server.Pipe()
        arguments = (tmp_path / "plan", directory, executor, EPOCHS[executor], EVERY, theirs)
        process = server.Process(target=train, args=arguments)
        process.start()
        theirs.close()
        kills += kill_at_random(process, ours, generator)
        steps = found_in(directory)
        if steps:
            positions.add(read(steps[-1]).header.samples)  # whole, whenever the kill came
        if process.exitcode == 0:  # it was faster than the kill: check its end, begin another
            finish(plan, directory, executor, whole)
            runs += 1
            directory = tmp_path / str(runs)
    finish(plan, directory, executor, whole)
    assert len(positions) >= KILLS[executor] / 2  # they made way between the kills


def finish(plan: Plan, directory: Path, executor: str, whole: RunReport) -> None:
    run = weft.train(plan, small_data(), resume=directory)
    assert run.executor == executor
    assert_same_end(run, whole)
    assert not [name for name in os.listdir(directory) if name.startswith(".unfinished")]
