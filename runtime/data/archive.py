"""NumPy archives: a `.npz` file with x_train, y_train, x_test, y_test."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np

from ..data_names import ARRAYS, unfit_archive
from .dataset import Dataset
from .finite import check_finite


def archive(path: Path) -> Dataset:
    """The four arrays of a file. Real inputs become float32, whole labels int64.

    Raises UserError for a file that numpy cannot read without unpickling, for missing arrays or
    unequal lengths, and for numbers that are not finite.
    """
    arrays = _arrays(path)
    missing = [key for key in ARRAYS if key not in arrays]
    if missing:
        raise unfit_archive(path, f"no {', '.join(missing)}")
    for part in ("train", "test"):
        _check_rows(path, part, arrays)
    return Dataset(
        name=path.stem,
        x_train=_numbers(arrays["x_train"]),
        y_train=_labels(arrays["y_train"]),
        x_test=_numbers(arrays["x_test"]),
        y_test=_labels(arrays["y_test"]),
        normalization="as in the file",
    )


def archived_test(path: Path) -> tuple[np.ndarray, np.ndarray | None]:
    """x_test of a file, and y_test where it is there; types and errors as of `archive`."""
    arrays = _arrays(path)
    if "x_test" not in arrays:
        raise unfit_archive(path, "no x_test")
    if "y_test" not in arrays:
        return _numbers(arrays["x_test"]), None
    _check_rows(path, "test", arrays)
    return _numbers(arrays["x_test"]), _labels(arrays["y_test"])


def _arrays(path: Path) -> dict[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as content:
            arrays = {key: content[key] for key in ARRAYS if key in content}
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise unfit_archive(path, f"a file numpy cannot read: {error}") from error
    for key, array in arrays.items():
        if array.dtype.kind not in "fiub":
            raise unfit_archive(path, f"{key} of type {array.dtype}")
        check_finite(f"data file {path}", key, array)
    return arrays


def _check_rows(path: Path, part: str, arrays: dict[str, np.ndarray]) -> None:
    x, y = arrays[f"x_{part}"], arrays[f"y_{part}"]
    if _rows(x) != _rows(y) or not _rows(x):
        raise unfit_archive(path, f"{_rows(x)} rows of x_{part} and {_rows(y)} of y_{part}")


def _numbers(array: np.ndarray) -> np.ndarray:
    return array.astype(np.float32) if array.dtype.kind == "f" else array


def _labels(array: np.ndarray) -> np.ndarray:
    """Real numbers stay what they are: whether they are whole is asked where a model is known."""
    return array if array.dtype.kind == "f" else array.astype(np.int64)


def _rows(array: np.ndarray) -> int:
    return len(array) if array.ndim else 0
