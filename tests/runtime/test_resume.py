"""Whole runs, stopped and resumed: equal to the bit with the run that never stopped."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import weft
from helpers.plans_to_train import (
    EPOCHS,
    EVERY,
    assert_same_end,
    checkpoints_of,
    small_data,
    small_plan,
    whole_run,
)
from weft.backend.errors import CheckpointFileError, UserError
from weft.compiler.plan.plan import Plan
from weft.runtime.checkpoint import found_in
from weft.runtime.data import Dataset
from weft.runtime.training.report import RunReport


@pytest.fixture(scope="module")
def plan() -> Plan:
    return small_plan()


@pytest.fixture(scope="module")
def data() -> Dataset:
    return small_data()


@pytest.fixture(scope="module")
def whole(plan: Plan, data: Dataset) -> RunReport:
    return whole_run(plan, data)


@pytest.fixture(scope="module")
def finished(plan: Plan, data: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return checkpoints_of(plan, data, tmp_path_factory.mktemp("finished"))


def test_writing_checkpoints_changes_nothing_and_each_leads_to_the_same_end(
    plan: Plan, data: Dataset, whole: RunReport, finished: Path, tmp_path: Path
) -> None:
    steps = found_in(finished)
    assert [path.name for path in steps] == [
        *(f"step-{samples:09d}" for samples in range(EVERY, 180, EVERY)),
        "step-000000180",
    ]
    for step in steps:
        run = weft.train(plan, data, resume=step, checkpoint=tmp_path / step.name)
        assert run.executor == "reference"
        assert_same_end(run, whole)


def test_jax_resumes_to_the_bit(plan: Plan, data: Dataset, tmp_path: Path) -> None:
    pytest.importorskip("jax")
    whole = weft.train(plan, data, epochs=EPOCHS)
    assert whole.executor == "jax"
    options = {"checkpoint": tmp_path, "every": 77, "keep": 99}
    assert_same_end(weft.train(plan, data, epochs=EPOCHS, **options), whole)
    assert_same_end(weft.train(plan, data, resume=tmp_path / "step-000000077"), whole)


def test_resuming_with_something_else_is_refused(
    plan: Plan, data: Dataset, finished: Path, tmp_path: Path
) -> None:
    other_data = replace(data, x_train=data.x_train + 1)
    masks = {name: ~mask for name, mask in plan.masks.items()}
    step = found_in(finished)[0]
    for wrong, options, message in (
        ((replace(plan, masks=masks), data), {}, "same masks"),
        ((plan, other_data), {}, "training data"),
        ((plan, data), {"executor": "jax"}, "executor reference"),
        ((plan, data), {"mode": "sequential"}, "mode pipelined"),
        ((plan, data), {"settings": ["seed=7"]}, "seed 0"),
        ((plan, data), {"settings": ["pipeline.compensation=stash"]}, "stashed"),
    ):
        with pytest.raises(UserError, match=message):
            weft.train(*wrong, resume=step, checkpoint=tmp_path / message[:4], **options)


def test_a_directory_with_another_run_is_refused(plan: Plan, data: Dataset, finished: Path) -> None:
    with pytest.raises(UserError, match=f"--resume {finished}"):
        weft.train(plan, data, executor="reference", checkpoint=finished)


def test_a_damaged_newest_checkpoint_is_refused_and_the_offer_works(
    plan: Plan, data: Dataset, whole: RunReport, tmp_path: Path
) -> None:
    options = {"checkpoint": tmp_path, "every": EVERY}
    weft.train(plan, data, executor="reference", epochs=EPOCHS, **options)
    before, last = found_in(tmp_path)[-2:]
    state = last / "state.safetensors"
    state.write_bytes(state.read_bytes()[:-100])
    with pytest.raises(CheckpointFileError) as caught:
        weft.train(plan, data, resume=tmp_path)
    assert str(state) in caught.value.where
    offer = caught.value.change.rpartition("--resume ")[2]
    assert offer == str(before)
    assert_same_end(weft.train(plan, data, resume=offer), whole)
    assert_same_end(weft.train(plan, data, resume=tmp_path), whole)


def test_more_epochs_after_a_checkpoint(plan: Plan, data: Dataset, tmp_path: Path) -> None:
    """The stream goes on without draining; only the schedule knows the new end."""
    constant = ["optimizer.schedule.kind=constant", "optimizer.schedule.warmup=0"]
    options = {"executor": "reference", "settings": constant}
    whole = weft.train(plan, data, epochs=4, **options)
    weft.train(plan, data, epochs=2, checkpoint=tmp_path, **options)
    run = weft.train(plan, data, epochs=4, resume=tmp_path, settings=constant)
    np.testing.assert_array_equal(run.losses, whole.losses[run.first_loss :])
    assert all((run.tensors[n] == v).all() for n, v in whole.tensors.items())


def test_a_resumed_run_says_what_it_trained_and_what_was_in_flight(
    plan: Plan, data: Dataset, tmp_path: Path
) -> None:
    """By the samples there are: those of the checkpoint and those after it are all."""
    weft.train(plan, data, executor="reference", epochs=EPOCHS, checkpoint=tmp_path, every=EVERY)
    earlier, last = found_in(tmp_path)[-2:]
    run = weft.train(plan, data, resume=earlier)
    total, begun = EPOCHS * len(data.splits.train), int(earlier.name.rpartition("-")[2])
    flying = plan.stages.delay(0) // 2
    assert (run.resumed_at, run.trained) == (begun, total - begun)
    assert len(run.losses) == total - begun + flying
    told = f"after {begun:,} samples, {flying} of them in flight: this run has their losses, too"
    assert told in run.summary()
    assert f"{total - begun:,} samples in {EPOCHS} epochs" in run.summary()
    finished = weft.train(plan, data, resume=last)
    assert finished.trained == 0
    assert "nothing was left to train" in finished.summary()
    assert "samples/s" not in finished.summary()
