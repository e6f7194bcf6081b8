"""Ctrl-C and termination as a request: the chunk at hand is finished first."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

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
from weft.compiler.plan.plan import Plan
from weft.runtime.data import Dataset
from weft.runtime.training.interrupt import Interrupted
from weft.runtime.training.report import Progress, RunReport


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


def stop_at(samples: int):
    """Ctrl-C when that many samples are trained."""

    def interrupt(progress: Progress) -> None:
        if progress.samples >= samples:
            os.kill(os.getpid(), signal.SIGINT)

    return interrupt


def test_ctrl_c_writes_a_checkpoint_to_go_on_from(
    plan: Plan, data: Dataset, whole: RunReport, tmp_path: Path
) -> None:
    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(Interrupted, match="--resume") as caught:
        weft.train(
            plan,
            data,
            executor="reference",
            epochs=EPOCHS,
            checkpoint=tmp_path,
            every=45,
            on_progress=stop_at(60),
        )
    assert signal.getsignal(signal.SIGINT) is handler
    assert caught.value.checkpoint == tmp_path / "step-000000060"
    assert_same_end(weft.train(plan, data, resume=tmp_path), whole)


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Ctrl-C raises, also where a shell started pytest in the background and had it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_ctrl_c_without_checkpoints_is_what_it_always_was(plan: Plan, data: Dataset) -> None:
    with pytest.raises(KeyboardInterrupt) as caught:
        weft.train(plan, data, executor="reference", on_progress=stop_at(1))
    assert not isinstance(caught.value, Interrupted)


def test_metrics_of_a_resumed_run_are_those_of_the_whole_one(
    plan: Plan, data: Dataset, finished: Path, tmp_path: Path
) -> None:
    def lines(directory: Path) -> list[dict]:
        found = [
            json.loads(line) for line in (directory / "metrics.jsonl").read_text().splitlines()
        ]
        return [{k: v for k, v in line.items() if k != "samples_per_s"} for line in found]

    with pytest.raises(Interrupted):
        weft.train(
            plan,
            data,
            executor="reference",
            epochs=EPOCHS,
            checkpoint=tmp_path,
            every=EVERY,
            on_progress=stop_at(100),
        )
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"samples": 120, "loss": 0.1}\n{"samples": 1')  # as kill -9 leaves it
    weft.train(plan, data, resume=tmp_path)
    got, expected = lines(tmp_path), lines(finished)
    assert got == expected
    assert [line["samples"] for line in got][:4] == [25, 50, 60, 75]
    assert got[-1]["samples"] == 180
    assert [line["samples"] for line in got if "test_accuracy" in line] == [60, 120, 180, 180]
    assert {line["epoch"] for line in got} == {0, 1, 2}
