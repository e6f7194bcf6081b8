"""Evaluates the model during training without disturbing samples in flight."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from helpers.jobs import job_of, perceptron_job, samples
from helpers.stages_of import stages_of
from torch import Tensor, nn
from weft.backend.errors import UserError
from weft.runtime.data import Dataset, load_data
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
