from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits
from weft.backend.errors import UnknownNameError, UserError
from weft.runtime.data import Dataset, load_data, load_test


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


def test_each_epoch_is_another_permutation_fixed_by_the_seed(digits: Dataset) -> None:
    first, second = digits.epochs(2, seed=3)
    np.testing.assert_array_equal(np.sort(first), np.arange(1437))
    assert not np.array_equal(first, second)
    again, _ = digits.epochs(2, seed=3)
    other, _ = digits.epochs(2, seed=4)
    np.testing.assert_array_equal(again, first)
    assert not np.array_equal(other, first)


def test_archive_is_read_back(tmp_path: Path) -> None:
    x, y = np.arange(12.0).reshape(3, 4), np.array([0, 1, 2])
    np.savez(tmp_path / "own.npz", x_train=x, y_train=y, x_test=x[:1], y_test=y[:1])
    data = load_data(str(tmp_path / "own.npz"))
    assert data.name == "own"
    np.testing.assert_array_equal(data.x_train, x)
    np.testing.assert_array_equal(data.y_test, y[:1])


def test_bad_archives_say_what_is_wrong(tmp_path: Path) -> None:
    x, y = np.zeros((3, 4)), np.zeros(3)
    np.savez(tmp_path / "part.npz", x_train=x, y_train=y)
    np.savez(tmp_path / "odd.npz", x_train=x, y_train=y[:2], x_test=x, y_test=y)
    np.savez(tmp_path / "pickle.npz", x_train=np.array([{}]), y_train=y, x_test=x, y_test=y)
    (tmp_path / "text.npz").write_text("no archive")
    wrong = {"part": "x_test, y_test", "odd": "y_train", "pickle": "pickle", "text": "cannot read"}
    for name, got in wrong.items():
        with pytest.raises(UserError, match=got) as caught:
            load_data(str(tmp_path / f"{name}.npz"))
        assert f"{name}.npz" in caught.value.where


def test_unknown_name_lists_what_is_known() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'digits'"):
        load_data("digit")


def test_what_a_prediction_needs_of_an_archive_is_x_test(tmp_path: Path) -> None:
    file = tmp_path / "data.npz"
    np.savez(file, x_test=np.eye(3), y_test=np.array([2, 0, 1], np.int32))
    x, y = load_test(str(file))
    assert (x.dtype, np.array_equal(x, np.eye(3))) == (np.float32, True)
    assert y is not None
    assert (y.dtype, y.tolist()) == (np.int64, [2, 0, 1])
    np.savez(file, x_test=np.eye(3))
    assert load_test(str(file))[1] is None
    for arrays in ({"x": np.eye(3)}, {"x_test": np.eye(3), "y_test": np.zeros(2)}):
        np.savez(file, **arrays)
        with pytest.raises(UserError, match="x_test"):
            load_test(str(file))
