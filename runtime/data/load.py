"""Which source of data a name or a path means."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ...backend.errors import UserError
from ..data_names import check_present
from .archive import archive, archived_test
from .cifar import TRAIN_FILES, cifar10
from .dataset import Dataset
from .digits import digits
from .images import image_folder
from .text import text


def load_data(
    name_or_path: str, shape: tuple[int, ...] | None = None, raw: bool = False
) -> Dataset:
    """The data set of a name or a path; `shape` is that of one sample of the model's first input.

    `digits`; a `.npz` file; a folder with CIFAR-10's data_batch_*.bin; a folder of images with one
    subfolder per class; for a model whose input is (window,), any other file, read as bytes.
    Images are standardized by those for training, unless they are to stay `raw` bytes.
    Raises UnknownNameError for a name that is none of these, UserError for a path where nothing
    is and for unfit content.
    """
    if name_or_path == "digits":
        return digits(raw)
    path = Path(name_or_path)
    if path.is_dir():
        is_cifar = any(path.glob(TRAIN_FILES))
        return cifar10(path, raw) if is_cifar else image_folder(path, shape, raw)
    check_present(name_or_path)
    if path.suffix == ".npz":
        return archive(path)
    if shape is None or len(shape) != 1:
        raise UserError(
            f"data file {path}",
            expected="a .npz file; other files are read as text, for a model of (window,) inputs",
            got=f"a model whose input is {shape}",
            change="write the samples with numpy.savez, or compile a language model",
        )
    return text(path, shape[0])


def load_test(
    name_or_path: str, shape: tuple[int, ...] | None = None, raw: bool = False
) -> tuple[np.ndarray, np.ndarray | None]:
    """The test samples of a data set and their labels: all that a prediction needs.

    A `.npz` file needs no more than x_test; without y_test there are no labels. All else, and the
    errors, as of `load_data`.
    """
    path = Path(name_or_path)
    if path.suffix == ".npz" and path.is_file():
        return archived_test(path)
    found = load_data(name_or_path, shape, raw)
    return found.x_test, found.y_test
