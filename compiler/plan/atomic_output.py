"""Output directories and files that appear complete or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from ...backend.errors import UserError


def check_output(directory: Path, own_names: frozenset[str]) -> None:
    """Raises UserError unless an output can be put at `directory`: its folder can be written to,
    and what lies there is empty or an earlier output, made of `own_names`."""
    if directory.is_dir():
        names = {entry.name for entry in directory.iterdir()}
    else:
        names = {"a file"} if directory.exists() or directory.is_symlink() else set()
    foreign = sorted(names - own_names)
    if foreign:
        raise _bad_output(
            directory,
            "a new or empty directory, or an earlier output of this command",
            f"one that holds {', '.join(foreign[:5])}" if directory.is_dir() else "a file",
        )
    above = next(folder for folder in directory.absolute().parents if folder.exists())
    if not above.is_dir():
        raise _bad_output(directory, "a folder to put it in", f"{above}, which is a file")
    if not _can_hold_folders(above):
        raise _bad_output(directory, f"a folder that can be made in {above}", "none")


def _can_hold_folders(folder: Path) -> bool:
    """Tried out: on some file systems the permissions do not say."""
    try:
        Path(tempfile.mkdtemp(prefix=".weft-", dir=folder)).rmdir()
    except OSError:
        return False
    return True


def _bad_output(directory: Path, expected: str, got: str) -> UserError:
    return UserError(
        f"output directory {directory}",
        expected=expected,
        got=got,
        change="choose another directory with -o",
    )


@contextmanager
def staged(directory: Path, own_names: frozenset[str]) -> Iterator[Path]:
    """A scratch directory beside `directory` that takes its place when the block succeeds.

    An earlier output is replaced; what is not one (it holds other names than `own_names`) is
    refused with a UserError before any work is done. On an error or an interruption the scratch
    directory is removed and an earlier output stays as it was.
    """
    check_output(directory, own_names)
    directory.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{directory.name}.", dir=directory.parent))
    try:
        yield scratch
        _put_in_place(scratch, directory)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def check_folder_of(path: Path) -> None:
    """Raises UserError unless the folder of an output file is there."""
    if path.is_dir() or not path.parent.is_dir():
        raise UserError(
            f"output file {path}",
            expected="a file in a folder that exists",
            got="a folder" if path.is_dir() else f"no folder {path.parent}",
            change="make the folder, or choose another file",
        )


@contextmanager
def staged_file(path: str | Path) -> Iterator[TextIO]:
    """A text file beside `path` that takes its place when the block succeeds.

    On an error or an interruption it is removed and an earlier file stays as it was. Raises
    UserError if the folder is not there, OSError if the file cannot be written.
    """
    path = Path(path)
    check_folder_of(path)
    part = path.with_name(path.name + ".part")
    try:
        with part.open("w", encoding="utf-8") as file:
            yield file
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def _put_in_place(scratch: Path, directory: Path) -> None:
    scratch.chmod(0o755)
    if directory.exists():
        old = Path(tempfile.mkdtemp(prefix=f".{directory.name}.old.", dir=directory.parent))
        os.rename(directory, old / "output")
        os.rename(scratch, directory)
        shutil.rmtree(old, ignore_errors=True)
    else:
        os.rename(scratch, directory)
