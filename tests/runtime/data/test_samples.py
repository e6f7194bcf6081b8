"""What a run reads samples from: arrays, a part of other samples, or samples changed at random."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import weft
from helpers.changed_data import changed_plan, train
from helpers.plans_to_train import small_data
from torch import Tensor, nn
from weft.backend.errors import UserError
from weft.compiler.plan.plan import Plan
from weft.compiler.recipes.build import compile_recipe
from weft.compiler.recipes.read import make_recipe
from weft.runtime.data import ArraySamples, Dataset, Splits
from weft.runtime.data.samples import Part

RECIPE = {
    "model": "mlp",
    "input": {"shape": [1, 8, 8], "classes": 3},
    "optimizer": {"lr": 1e-2, "momentum": 0.5},
    "pipeline": {"mode": "sequential"},
    "target": "tiny_mesh",
    "epochs": 6,
}


X = np.random.default_rng(0).normal(size=(48, 1, 8, 8)).astype(np.float32)


PLACES = X.reshape(48, 64)[:, :3]


def splits(labels: np.ndarray) -> Splits:
    parts = (slice(0, 32), slice(32, 48))
    train, test = (ArraySamples("own", (X[part], labels[part])) for part in parts)
    return Splits("own", train, None, test, "none")


@pytest.mark.parametrize("loss", ["mse", "l1", "binary_cross_entropy"])
def test_a_recipe_with_real_labels(loss: str) -> None:
    """The test loss is torch's of the predictions, and training lowers it."""
    labels = PLACES if loss != "binary_cross_entropy" else (PLACES > 0).astype(np.float32)
    overrides = [f"loss={loss}", "input.label_shape=[3]", "input.label_dtype=float32"]
    plan = compile_recipe(make_recipe(RECIPE, [*overrides, "training.scores=[dice,mae]"]))
    run = weft.train(plan, splits(labels), executor="reference")
    assert np.mean(run.losses[-32:]) < np.mean(run.losses[:32])
    trained = weft.load_weights(plan, run.tensors)
    (outputs,) = weft.predict(trained, X[32:], executor="reference")
    torch_loss = {
        "mse": F.mse_loss,
        "l1": F.l1_loss,
        "binary_cross_entropy": F.binary_cross_entropy_with_logits,
    }[loss]
    expected = torch_loss(torch.from_numpy(outputs), torch.from_numpy(labels[32:]))
    assert run.test_loss == pytest.approx(float(expected), rel=1e-5)
    assert run.scores[-1].more["mae"] == pytest.approx(np.abs(outputs - labels[32:]).mean())
    assert np.isnan(run.test_accuracy) == (loss != "binary_cross_entropy")


def test_a_loss_given_in_python_is_recognised() -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 3))
    example = (torch.from_numpy(X[:1]), torch.from_numpy(PLACES[:1]))
    plan = weft.compile(model, example, loss=F.mse_loss, target="tiny_mesh")
    run = weft.train(plan, splits(PLACES), executor="reference", epochs=1)
    (outputs,) = weft.predict(weft.load_weights(plan, run.tensors), X[32:], executor="reference")
    assert run.test_loss == pytest.approx(np.mean((outputs - PLACES[32:]) ** 2), rel=1e-5)
    assert run.scores[0].accuracy is None


class Segments(nn.Module):
    """Two classes for each pixel."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.second(torch.tanh(self.first(x)))


def test_segmentation() -> None:
    labels = (X[:, 0] > 0).astype(np.int64)
    example = (torch.from_numpy(X[:1]), torch.from_numpy(labels[:1]))
    plan = weft.compile(Segments(), example, loss=F.cross_entropy, target="tiny_mesh")
    settings = ["training.scores=[dice]", "optimizer.lr=0.05", "pipeline.compensation=none"]
    run = weft.train(
        plan, splits(labels), executor="reference", epochs=4, mode="sequential", settings=settings
    )
    (outputs,) = weft.predict(weft.load_weights(plan, run.tensors), X[32:], executor="reference")
    found, marked = outputs.argmax(1) == 1, labels[32:] == 1
    shares = [
        2 * (a & b).sum() / (a.sum() + b.sum()) for a, b in ((found, marked), (~found, ~marked))
    ]
    assert run.scores[-1].more["dice"] == pytest.approx(np.mean(shares))
    assert run.test_accuracy == np.mean(found == marked) > 0.8


def test_scores_that_labels_do_not_have_are_refused_before_training() -> None:
    plan = compile_recipe(make_recipe(RECIPE))
    with pytest.raises(UserError, match="perplexity"):
        weft.train(plan, splits(np.zeros(48, np.int64)), settings=["training.scores=[perplexty]"])


@pytest.fixture(scope="module")
def plan() -> Plan:
    return changed_plan()


@pytest.fixture(scope="module")
def data() -> Dataset:
    return small_data()


def test_samples_that_training_never_sees_are_those_of_validation(
    plan: Plan, data: Dataset
) -> None:
    """A run on data whose held-out rows are altered has the same losses, and other scores."""
    held = data.splits.with_validation(0.25).validation
    assert isinstance(held, Part)
    x = data.x_train.copy()
    x[held.indices] *= -1
    other = Dataset("other", x, data.y_train, data.x_test, data.y_test, "none")
    one, two = train(plan, data), train(plan, other)
    np.testing.assert_array_equal(one.losses, two.losses)
    assert one.validation_loss != two.validation_loss
    assert one.test_loss == two.test_loss
