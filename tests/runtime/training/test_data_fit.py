"""Checks that data match the model's inputs, before the first sample is fed where that can be."""

from __future__ import annotations

import pytest
from helpers.jobs import perceptron_job
from helpers.linear_data import data_of
from weft.backend.errors import UserError
from weft.runtime.data import Dataset
from weft.runtime.training.trainer import train


@pytest.fixture(scope="module")
def data() -> Dataset:
    return data_of(perceptron_job("none"), 60, 10)


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
