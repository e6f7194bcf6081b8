"""scikit-learn's handwritten digits."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_digits
from weft.runtime.data import Dataset, load_data


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return load_data("digits")


def test_digits_are_all_there_once(digits: Dataset) -> None:
    images, labels = load_digits(return_X_y=True)
    assert digits.x_train.shape == (1437, 1, 8, 8)
    assert digits.x_test.shape == (360, 1, 8, 8)
    assert digits.x_train.dtype == np.float32
    scaled = (images - images.min()) / (images.max() - images.min())
    ours = np.concatenate([digits.x_train, digits.x_test]).reshape(-1, 64).astype(np.float64)
    ours = (ours - ours.min()) / (ours.max() - ours.min())
    whole = np.concatenate([digits.y_train, digits.y_test])
    expected = sorted(map(tuple, np.column_stack([labels, np.round(scaled * 16)])))
    assert sorted(map(tuple, np.column_stack([whole, np.round(ours * 16)]))) == expected


def test_digits_are_normalised_by_the_training_images(digits: Dataset) -> None:
    assert abs(digits.x_train.mean()) < 1e-5
    assert abs(digits.x_train.std() - 1) < 1e-5
    assert 1e-4 < abs(digits.x_test.mean()) < 0.1


def test_the_split_is_stratified_and_fixed(digits: Dataset) -> None:
    share = np.bincount(digits.y_train) / np.bincount(digits.y_test)
    assert np.all(np.abs(share - 1437 / 360) < 0.15)
    np.testing.assert_array_equal(load_data("digits").x_test, digits.x_test)
