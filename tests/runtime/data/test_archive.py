"""NumPy archives: a `.npz` file with x_train, y_train, x_test, y_test."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from weft.backend.errors import UserError
from weft.runtime.data import load_data, load_test


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


@pytest.mark.parametrize("key", ["x_train", "y_train", "x_test", "y_test"])
def test_numbers_that_are_not_finite_are_counted_and_refused(key: str, tmp_path: Path) -> None:
    arrays = {name: np.zeros((6, 2), np.float32) for name in ("x_train", "x_test")}
    arrays |= {name: np.zeros((6, 1), np.float32) for name in ("y_train", "y_test")}
    arrays[key][3:5, 0] = np.nan, np.inf
    np.savez(tmp_path / "data.npz", **arrays)
    with pytest.raises(UserError, match=f"finite numbers in {key}") as refused:
        load_data(str(tmp_path / "data.npz"))
    assert refused.value.got == f"2 of {arrays[key].size} are not; the first is in row 3"
