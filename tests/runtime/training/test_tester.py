"""Evaluates the model during training without disturbing samples in flight."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import weft
from helpers.eager_loop import assert_trained_alike
from helpers.jobs import job_of, perceptron_job, samples, skip_net_job
from helpers.linear_data import data_of
from helpers.stages_of import stages_of
from torch import Tensor, nn
from weft.backend.errors import UserError
from weft.runtime.data import Dataset, load_data
from weft.runtime.executors import make_executor
from weft.runtime.reference.executor import ReferenceExecutor
from weft.runtime.training.scores import class_axes, class_score, likely_axis
from weft.runtime.training.trainer import train


@pytest.fixture(scope="module")
def data() -> Dataset:
    return data_of(perceptron_job("none"), 60, 10)


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


@pytest.mark.parametrize("name", ["cross_entropy", "mse"])
def test_labels_with_an_axis_more_are_scored_as_those_without(name: str) -> None:
    """A column of labels: as real numbers it must not be held against each prediction."""
    job = perceptron_job("none")
    given = data_of(job, 30, 10)
    if name == "mse":
        model = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 1), nn.Flatten(0))
        stages = stages_of(model, torch.zeros(1, 4), F.mse_loss, torch.zeros(1))
        job = job_of(model, stages)
        x, y = np.random.default_rng(0).standard_normal((2, 40, 4)).astype(np.float32)
        given = Dataset("reals", x[:30], y[:30, 0], x[30:], y[30:, 0], "none")
    columns = replace(given, y_train=given.y_train[:, None], y_test=given.y_test[:, None])
    flat, column = (train(job, data, executor="reference") for data in (given, columns))
    np.testing.assert_array_equal(column.losses, flat.losses)
    assert column.scores == flat.scores
    assert flat.scores[-1].loss is not None


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


def test_tests_are_at_the_mean_of_the_latest_moving_statistics() -> None:
    """The test of a run against its three chunks fed by hand, drained at the end."""
    job = skip_net_job("sc+lwp")
    x, y = (a.astype(t) for a, t in zip(samples(job, 34), (np.float32, np.int64), strict=True))
    own = Dataset("own", x[:24], y[:24], x[24:], y[24:], "none")
    run = train(job, own, executor="reference", evaluate_every=8, averaged_statistics=16)
    order = np.concatenate(list(own.epochs(1, seed=0)))
    machine, seen = ReferenceExecutor(job), []
    for start in range(0, 24, 8):
        rows = order[start : start + 8]
        machine.feed([x[rows], y[rows]])
        if start == 16:
            machine.flush()
        seen.append(machine.statistics())
    assert set(seen[0]) == {f"norm{n}.{part}" for n in (1, 2, 3) for part in ("mean", "var")}
    losses = []
    for state in ({n: (seen[1][n] + seen[2][n]) / 2 for n in seen[1]}, *seen[1:]):
        (scores,) = machine.evaluate([x[24:], y[24:]], state)
        expected = F.cross_entropy(torch.from_numpy(scores), torch.from_numpy(y[24:]))
        losses.append(float(expected))
    assert run.test_loss == pytest.approx(losses[0], rel=1e-5)
    assert abs(losses[0] - losses[2]) > 1e-4
    spread = abs(losses[1] - losses[2]) / 2**0.5
    assert run.scores[-1].more["loss_spread"] == pytest.approx(spread, rel=1e-3)
    assert "loss_spread" not in run.scores[0].more
    plain = train(job, own, executor="reference", evaluate_every=8)
    np.testing.assert_array_equal(plain.losses, run.losses)
    assert plain.test_loss != run.test_loss


@pytest.mark.parametrize("name", ["jax", "torch-xla"])
def test_executors_predict_at_other_statistics_than_their_own(name: str) -> None:
    pytest.importorskip(name.replace("-", "_"))
    job = skip_net_job("none")
    x, y = samples(job, 6)
    inputs = [x.astype(np.float32), y]
    machine, reference = (make_executor(n, job, "sequential", "cpu") for n in (name, "reference"))
    other = {n: value + 0.5 for n, value in reference.statistics().items()}
    (got,), (expected,) = (m.evaluate(inputs, other) for m in (machine, reference))
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)
    (before,), (again,) = (m.evaluate(inputs) for m in (machine, reference))
    np.testing.assert_allclose(before, again, rtol=1e-4, atol=1e-5)
    assert np.abs(before - got).max() > 1e-3


def test_a_model_without_normalization_has_nothing_to_average(data: Dataset) -> None:
    job = perceptron_job("none")
    runs = [train(job, data, executor="reference", averaged_statistics=span) for span in (None, 30)]
    assert runs[0].scores == runs[1].scores


class Pair(nn.Module):
    """What two samples are embedded as."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(6, 4)

    def forward(self, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        return self.layer(a), self.layer(b)


def contrast(pair: tuple[Tensor, Tensor], sign: Tensor) -> Tensor:
    return F.cosine_embedding_loss(*pair, sign)


def test_predictions_without_a_score_are_trained_but_not_tested() -> None:
    """A loss of its own, by which eager torch says what is learned."""
    generator = torch.Generator().manual_seed(1)
    a, b = torch.randn(2, 8, 6, generator=generator)
    signs = torch.tensor([1.0, -1.0] * 4)
    assert_trained_alike(Pair, contrast, a, b, signs)
    plan = weft.compile(Pair(), (a[:1], b[:1], signs[:1]), contrast)
    with pytest.raises(UserError, match="one number for each label"):
        weft.train(plan, (a, b, signs, a, b, signs), executor="reference", epochs=1)
