"""Snapshots by name: one form for all executors through XLA, and those that older ones wrote."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers.jobs import perceptron_job, samples
from weft.backend.errors import UserError
from weft.compiler.plan.schedule import spec_of
from weft.runtime.tick.job import Job
from weft.runtime.tick.snapshot import named_arrays
from weft.runtime.tick.train_state import Pipeline, TrainedModel

jax = pytest.importorskip("jax")

from weft.runtime.jax.executor import JaxExecutor  # noqa: E402

COUNT, NOW = 30, 11


@pytest.fixture(scope="module")
def job() -> Job:
    return perceptron_job("stash")


@pytest.fixture(scope="module")
def executor(job: Job) -> JaxExecutor:
    return JaxExecutor(job, chunk=16)


def older(job: Job, snapshot: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """As before schedules: numbered buffers, one each for what no later tick reads as well."""
    stages = job.stages
    keys: list = list(stages.readers)
    for stage in stages.stages:
        keys += [
            (stage.index, n) for n, needed in enumerate(stage.program.input_needs_grad) if needed
        ]
        keys += [("saved", stage.index, number) for number, _ in enumerate(stage.program.saved)]
        keys += [("stash", stage.index, number) for number, _ in enumerate(stage.parameters)]
    found = {name: value for name, value in snapshot.items() if not name.startswith(".buffers")}
    for number, key in enumerate(keys):
        spec = spec_of(stages, key)
        unread = torch.ones(spec.shape, dtype=spec.torch_dtype)
        found[f".buffers[{number}]"] = snapshot.get(f".buffers[{key!r}]", unread)
    return found


def test_an_older_snapshot_goes_on_to_the_bit(job: Job, executor: JaxExecutor) -> None:
    first, rest = zip(*((a[:NOW], a[NOW:]) for a in samples(job, COUNT)), strict=True)
    executor.feed(first)
    taken = executor.snapshot()
    ends = []
    for snapshot in (taken, older(job, taken)):
        executor.restore(snapshot)
        assert executor.snapshot().keys() == taken.keys()
        executor.feed(rest)
        ends.append(executor.tensors())
    assert older(job, taken).keys() - taken.keys()
    assert any(not torch.equal(ends[0][name], job.start(name)) for name in ends[0])
    for name, value in ends[0].items():
        assert torch.equal(ends[1][name], value), name


def test_what_does_not_fit_is_named(executor: JaxExecutor) -> None:
    taken = executor.snapshot()
    name = next(name for name in taken if name.startswith(".buffers"))
    with pytest.raises(UserError, match=r"tensor '\.buffers"):
        executor.restore({k: v for k, v in taken.items() if k != name})
    with pytest.raises(UserError, match="more"):
        executor.restore({**taken, "more": torch.zeros(1)})


def test_torch_xla_has_the_same_names_and_values(job: Job, executor: JaxExecutor) -> None:
    """But for the width of integers, which jax makes 32 bits."""
    device = pytest.importorskip("weft.runtime.torch_xla.device")
    try:
        device.start("cpu")
    except ImportError:
        pytest.skip("torch_xla is missing: pip install 'weft[torch-xla]'")
    from weft.runtime.torch_xla.executor import XlaExecutor

    executor.restart(job)
    found = []
    for machine in (executor, XlaExecutor(job, chunk=16)):
        machine.feed([array[:NOW] for array in samples(job, COUNT)])
        found.append(machine.snapshot())
    mine, theirs = found
    assert mine.keys() == theirs.keys()
    for name, value in mine.items():
        torch.testing.assert_close(theirs[name].to(value.dtype), value, msg=name)


@pytest.fixture
def uncollected() -> Iterator[None]:
    """Nothing is freed but what nobody refers to any more."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("uncollected")
def test_names_hold_no_arrays(job: Job) -> None:
    """A loop that leaves little garbage is rarely collected: a cycle then keeps the whole state."""
    empty = TrainedModel.empty()
    array = np.zeros(3)
    model = replace(empty, weights={"w": array}, optimizer={"w": {"velocity": array}})
    schedule = job.tick_schedule("pipelined")
    buffers = tuple(array for _ in schedule.buffers)
    found = named_arrays(Pipeline(model, buffers), schedule)
    assert len(found) == 2 + len(buffers)
    gone = weakref.ref(array)
    del array, model, buffers, found
    assert gone() is None


@pytest.mark.usefixtures("uncollected")
def test_a_snapshot_does_not_move_the_state(job: Job, executor: JaxExecutor) -> None:
    """Where a view of the state is left, XLA trains on in a copy of it."""
    inputs = samples(job, 16)
    executor.feed(inputs)
    before = places(executor)
    executor.snapshot()
    executor.feed(inputs)
    assert places(executor) == before


@pytest.mark.usefixtures("uncollected")
def test_an_executor_goes_with_the_last_who_has_it(job: Job) -> None:
    """So that a run does not keep the state of the one before."""
    executor = JaxExecutor(job, chunk=16)
    inputs = samples(job, 16)
    executor.feed(inputs)
    executor.evaluate(inputs)
    executor.snapshot()
    gone = weakref.ref(executor)
    del executor
    assert gone() is None


def places(executor: JaxExecutor) -> list[int]:
    return [leaf.unsafe_buffer_pointer() for leaf in jax.tree.leaves(executor.pipeline)]
