"""A disk that takes no more: the file, and the last whole checkpoint to go on from."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import weft
from helpers.plans_to_train import small_data, small_plan
from typer.testing import CliRunner
from weft.backend.errors import UserError
from weft.cli.app import app_of
from weft.compiler.plan.plan import Plan
from weft.runtime.checkpoint import newest
from weft.runtime.training.disk_failure import disk_failures
from weft.runtime.training.report import Progress


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """The system refuses to write files of more bytes than that, as it does on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.fixture(scope="module")
def plan() -> Plan:
    return small_plan()


def test_a_checkpoint_that_cannot_be_written(plan: Plan, tmp_path: Path) -> None:
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill(progress: Progress) -> None:
        if progress.samples == 40:
            resource.setrlimit(resource.RLIMIT_FSIZE, (2000, hard[1]))

    options: dict[str, Any] = {"executor": "reference", "checkpoint": tmp_path / "run"}
    try:
        with pytest.raises(UserError) as caught:
            weft.train(
                plan, small_data(), epochs=2, every=20, on_progress=fill, log=tmp_path, **options
            )
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, hard)
    assert "state.safetensors" in caught.value.where
    assert f"--resume {tmp_path / 'run'}/step-000000020" in caught.value.change
    whole = newest(tmp_path / "run")
    assert whole.header.samples == 20
    again = weft.train(plan, small_data(), resume=tmp_path / "run")
    assert again.first_loss == 20 - plan.stages.delay(0) // 2


def test_the_command_ends_with_a_message_and_exit_code_2(plan: Plan, tmp_path: Path) -> None:
    data = small_data()
    names = ("x_train", "y_train", "x_test", "y_test")
    np.savez(tmp_path / "some.npz", **{name: getattr(data, name) for name in names})
    plan.save(tmp_path / "plan")
    words = ["train", tmp_path / "plan", "--data", tmp_path / "some.npz", "--executor", "reference"]
    with largest_file(10):
        found = CliRunner().invoke(app_of(), [*map(str, words), "--log", str(tmp_path / "log")])
    assert found.exit_code == 2
    assert "metrics.jsonl" in found.output
    assert "expected: room on its disk" in found.output


def test_other_errors_of_files_pass(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), disk_failures(None, None):
        (tmp_path / "none").read_text()
