"""Names and paths of data, checked without importing torch."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path

from ..backend.errors import UnknownNameError, UserError

KNOWN = ("digits", "PATH.npz", "a folder of CIFAR-10's .bin files", "an image folder", "a text")


ARRAYS = ("x_train", "y_train", "x_test", "y_test")
"""What a .npz file holds."""


def check_present(name_or_path: str, arrays: Sequence[str] = ()) -> None:
    """Raises UnknownNameError for data that are not known by name, UserError for a path where
    nothing is, and for a .npz file that lacks one of the `arrays`."""
    path = Path(name_or_path)
    if name_or_path == "digits":
        return
    if path.suffix == ".npz" and zipfile.is_zipfile(path):
        _check_arrays(path, arrays)
    elif path.exists():
        return
    elif path.suffix or len(path.parts) > 1:
        raise UserError(
            f"data file {path}",
            expected=f"one of {', '.join(KNOWN)}",
            got="no such file",
            change="check the path",
        )
    else:
        raise UnknownNameError("data set", name_or_path, KNOWN, "weft train --help")


def _check_arrays(path: Path, arrays: Sequence[str]) -> None:
    with zipfile.ZipFile(path) as opened:
        names = [name.removesuffix(".npy") for name in opened.namelist()]
    missing = [name for name in arrays if name not in names]
    if missing:
        has = f", but {', '.join(names)}" if names else ""
        raise unfit_archive(path, f"no {', '.join(missing)}{has}")


def unfit_archive(path: Path, got: str) -> UserError:
    """The error of a .npz file that does not hold data to train on."""
    return UserError(
        f"data file {path}",
        expected=f"a NumPy archive with numbers in {', '.join(ARRAYS)}, as many labels as inputs",
        got=got,
        change="write it with numpy.savez(path, x_train=..., y_train=..., x_test=..., y_test=...)",
    )
