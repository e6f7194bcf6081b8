"""Data sets as arrays: scikit-learn's handwritten digits by name, NumPy archives by path."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..backend.errors import UnknownNameError, UserError

_DIGITS_TEST_SIZE = 360
_SPLIT_SEED = 0
_ARCHIVE_KEYS = ("x_train", "y_train", "x_test", "y_test")


@dataclass(frozen=True)
class Dataset:
    """Inputs (N, ...) float32 and labels (N,) int64, for training and for testing.

    `normalization` says what was done to the inputs.
    """

    name: str
    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    normalization: str

    def epochs(self, epochs: int, seed: int) -> Iterator[np.ndarray]:
        """The order of the training samples in each epoch; the same for the same seed."""
        for epoch in range(epochs):
            yield np.random.default_rng((seed, epoch)).permutation(len(self.x_train))


def load_data(name_or_path: str) -> Dataset:
    """`digits`, or a `.npz` file with x_train, y_train, x_test, y_test.

    Raises UnknownNameError for a name that is neither, UserError for an archive of another form or
    a missing scikit-learn.
    """
    if name_or_path == "digits":
        return _digits()
    path = Path(name_or_path)
    if path.suffix == ".npz" and path.is_file():
        return _archive(path)
    known = ("digits", "PATH.npz")
    raise UnknownNameError("data set", name_or_path, known, "weft train --help")


def _digits() -> Dataset:
    """1797 images of 8 x 8 pixels, ten classes; 1437 for training, 360 for testing."""
    try:
        from sklearn.datasets import load_digits
        from sklearn.model_selection import train_test_split
    except ImportError as error:
        raise UserError(
            "data set 'digits'",
            expected="scikit-learn, whose bundled digits these are",
            got="no module sklearn",
            change="pip install weft[demo]",
        ) from error
    images, labels = load_digits(return_X_y=True)
    parts = train_test_split(
        images, labels, test_size=_DIGITS_TEST_SIZE, random_state=_SPLIT_SEED, stratify=labels
    )
    x_train, x_test, y_train, y_test = map(np.asarray, parts)
    mean, deviation = x_train.mean(), x_train.std()
    return Dataset(
        name="digits",
        x_train=_images((x_train - mean) / deviation),
        y_train=y_train.astype(np.int64),
        x_test=_images((x_test - mean) / deviation),
        y_test=y_test.astype(np.int64),
        normalization=f"(pixel - {mean:.4f}) / {deviation:.4f}, from the training images",
    )


def _images(rows: np.ndarray) -> np.ndarray:
    return rows.reshape(-1, 1, 8, 8).astype(np.float32)


def _archive(path: Path) -> Dataset:
    try:
        with np.load(path, allow_pickle=False) as archive:
            missing = [key for key in _ARCHIVE_KEYS if key not in archive]
            arrays = {key: archive[key] for key in _ARCHIVE_KEYS if key in archive}
    except (ValueError, OSError) as error:
        raise _bad_archive(path, f"a file numpy cannot read: {error}") from error
    if missing:
        raise _bad_archive(path, f"no {', '.join(missing)}")
    for part in ("train", "test"):
        x, y = arrays[f"x_{part}"], arrays[f"y_{part}"]
        if len(x) != len(y) or not len(x):
            raise _bad_archive(path, f"{len(x)} rows of x_{part} and {len(y)} of y_{part}")
    return Dataset(
        name=path.stem,
        x_train=arrays["x_train"].astype(np.float32),
        y_train=arrays["y_train"].astype(np.int64),
        x_test=arrays["x_test"].astype(np.float32),
        y_test=arrays["y_test"].astype(np.int64),
        normalization="as in the file",
    )


def _bad_archive(path: Path, got: str) -> UserError:
    return UserError(
        f"data file {path}",
        expected=f"a NumPy archive with {', '.join(_ARCHIVE_KEYS)}, as many labels as inputs",
        got=got,
        change="write it with numpy.savez(path, x_train=..., y_train=..., x_test=..., y_test=...)",
    )
