"""Names and paths of data, checked without importing torch."""

from __future__ import annotations

from pathlib import Path

from ..backend.errors import UnknownNameError, UserError

KNOWN = ("digits", "PATH.npz", "a folder of CIFAR-10's .bin files", "an image folder", "a text")


def check_present(name_or_path: str) -> None:
    """Raises UnknownNameError for data that are not known by name, UserError for a path where
    nothing is."""
    path = Path(name_or_path)
    if name_or_path == "digits" or path.exists():
        return
    if path.suffix or len(path.parts) > 1:
        raise UserError(
            f"data file {path}",
            expected=f"one of {', '.join(KNOWN)}",
            got="no such file",
            change="check the path",
        )
    raise UnknownNameError("data set", name_or_path, KNOWN, "weft train --help")
