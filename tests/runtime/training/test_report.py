"""What a run reports, how it tests, and that testing disturbs nothing."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from helpers.jobs import job_of, perceptron_job, samples
from helpers.stages_of import stages_of
from torch import Tensor, nn
from weft.backend.errors import UserError
from weft.runtime.data import Dataset, load_data
from weft.runtime.training.logs import metrics_file, tensorboard
from weft.runtime.training.scores import class_axes, class_score, likely_axis
from weft.runtime.training.trainer import train


@pytest.fixture(scope="module")
def data() -> Dataset:
    x, y = samples(perceptron_job("none"), 70)
    x = x.astype(np.float32)
    return Dataset("own", x[:60], y[:60], x[60:], y[60:], "none")


@pytest.mark.parametrize("name", ["reference", "jax"])
def test_testing_often_changes_no_bit(name: str, data: Dataset) -> None:
    if name == "jax":
        pytest.importorskip("jax")
    job = perceptron_job("sc+lwp")
    rarely = train(job, data, executor=name, epochs=2)
    often = train(job, data, executor=name, epochs=2, evaluate_every=7)
    np.testing.assert_array_equal(often.losses, rarely.losses)
    assert all(torch.equal(often.tensors[n], value) for n, value in rarely.tensors.items())
    counts = [count for count, _ in often.accuracies]
    assert counts == [*range(7, 120, 7), 120]
    assert often.scores[-1] == rarely.scores[-1]


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


class Bytes(nn.Module):
    """Predicts the next byte from this one; scores (1, window, 256) or (1, 256, window)."""

    def __init__(self, classes_last: bool) -> None:
        super().__init__()
        self.embedding, self.head = nn.Embedding(256, 12), nn.Linear(12, 256)
        self.classes_last = classes_last

    def loss(self, scores: Tensor, labels: Tensor) -> Tensor:
        return F.cross_entropy(scores.transpose(1, 2) if self.classes_last else scores, labels)

    def forward(self, tokens: Tensor) -> Tensor:
        scores = self.head(self.embedding(tokens))
        return scores if self.classes_last else scores.transpose(1, 2)


@pytest.mark.parametrize(("window", "classes_last"), [(16, False), (16, True), (256, True)])
def test_a_language_model_is_tested_per_byte(
    window: int, classes_last: bool, tmp_path: Path
) -> None:
    """Also with as many classes as bytes per window, where shapes do not tell them apart."""
    (tmp_path / "song").write_bytes(b"la di da, " * 1000)
    text = load_data(str(tmp_path / "song"), (window,))
    torch.manual_seed(0)
    model = Bytes(classes_last)
    tokens = torch.zeros(1, window, dtype=torch.int64)
    job = job_of(model, stages_of(model, tokens, model.loss, tokens.clone()))
    few = Dataset(
        "song", text.x_train[:40], text.y_train[:40], text.x_test[:3], text.y_test[:3], ""
    )
    run = train(job, few, executor="reference", epochs=3)
    model.load_state_dict(dict(run.tensors))
    scores = model(torch.from_numpy(few.x_test)).detach()
    scores = scores if classes_last else scores.transpose(1, 2)
    labels = torch.from_numpy(few.y_test)
    expected = F.cross_entropy(scores.reshape(-1, 256), labels.reshape(-1))
    assert run.test_loss == pytest.approx(float(expected), rel=1e-4)
    assert run.test_accuracy == float((scores.argmax(-1) == labels).double().mean())
    assert run.test_loss < math.log(256) - 0.05


def test_scores_are_those_of_torch() -> None:
    generator = torch.Generator().manual_seed(0)
    predictions = 30 * torch.randn(6, 4, 5, generator=generator)
    labels = torch.randint(0, 4, (6, 5), generator=generator)
    accuracy, loss = class_score(predictions.numpy(), labels.numpy(), axis=1)
    assert loss == pytest.approx(float(F.cross_entropy(predictions.double(), labels)))
    assert accuracy == float((predictions.argmax(1) == labels).double().mean())


def test_the_axis_of_the_classes() -> None:
    assert class_axes((7, 3), (7,)) == [1]
    assert class_axes((7, 3, 5), (7, 5)) == [1]
    assert class_axes((7, 5, 3), (7, 5)) == [2]
    assert class_axes((7, 5, 5), (7, 5)) == [1, 2]
    with pytest.raises(UserError, match="one score per class"):
        class_axes((7, 4, 3), (7, 5))
    generator = torch.Generator().manual_seed(0)
    scores = torch.randn(3, 5, 5, generator=generator)
    labels = torch.randint(0, 5, (3, 5), generator=generator)
    for axis, ordered in ((1, scores), (2, scores.transpose(1, 2))):
        losses = F.cross_entropy(ordered, labels, reduction="none").mean(1)
        arrays = (scores.numpy(), labels.numpy, losses.numpy())
        assert likely_axis([1, 2], *arrays) == axis


@pytest.mark.parametrize("label", [-1, 3])
def test_labels_without_a_score_are_refused_before_training(data: Dataset, label: int) -> None:
    wrong = data.y_train.copy()
    wrong[7] = label
    with pytest.raises(UserError, match="labels from 0 to 2"):
        train(
            perceptron_job("none"), Dataset("d", data.x_train, wrong, data.x_test, data.y_test, "")
        )


def test_samples_of_another_shape_are_refused_before_training(data: Dataset) -> None:
    x = data.x_train[:, :8]
    with pytest.raises(UserError, match=r"\(9,\)"):
        train(perceptron_job("none"), Dataset("d", x, data.y_train, x, data.y_train, ""))


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
