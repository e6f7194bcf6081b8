"""What a run writes down while it goes on: metrics.jsonl, TensorBoard scalars."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from types import ModuleType

import pytest
from helpers.jobs import perceptron_job
from helpers.linear_data import data_of
from weft.backend.errors import UserError
from weft.runtime.data import Dataset
from weft.runtime.training.logs import metrics_file, tensorboard
from weft.runtime.training.trainer import train


@pytest.fixture(scope="module")
def data() -> Dataset:
    return data_of(perceptron_job("none"), 60, 10)


def test_metrics_have_one_line_per_chunk(data: Dataset, tmp_path: Path) -> None:
    job = perceptron_job("sc+lwp")
    logs = [metrics_file(tmp_path)]
    run = train(job, data, executor="reference", epochs=2, evaluate_every=40, logs=logs)
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [line["samples"] for line in lines] == [40, 60, 80, 120, 120]
    assert [line["learning_rate"] for line in lines[:2]] == [job.rate(39), job.rate(59)]
    first = run.losses[: 40 - (len(job.stages) - 1)]
    assert lines[0]["loss"] == pytest.approx(first.mean())
    tested = [(line["samples"], line["test_accuracy"]) for line in lines if "test_loss" in line]
    assert tested == list(run.accuracies)


def test_metrics_hold_no_nan(tmp_path: Path) -> None:
    metrics_file(tmp_path)({"samples": 1, "loss": math.nan, "learning_rate": None})
    assert json.loads((tmp_path / "metrics.jsonl").read_text())["loss"] is None


def test_without_tensorboard_the_message_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(UserError, match=r"pip install 'weft\[tensorboard\]"):
        tensorboard(tmp_path)


def test_tensorboard_gets_every_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a writer of the same interface in the package's place."""
    written = []

    class SummaryWriter:
        def __init__(self, directory: str, purge_step: int | None) -> None:
            written.append((directory, purge_step))

        def add_scalar(self, *scalar: object) -> None:
            written.append(scalar)

        def flush(self) -> None:
            written.append("flush")

    module = ModuleType("torch.utils.tensorboard")
    monkeypatch.setattr(module, "SummaryWriter", SummaryWriter, raising=False)
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", module)
    tensorboard(tmp_path, samples=8)({"samples": 10, "loss": 0.5, "test_loss": None})
    assert written == [(str(tmp_path), 9), ("loss", 0.5, 10), "flush"]
