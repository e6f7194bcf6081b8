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


@contextmanager
def staged(directory: Path, own_names: frozenset[str]) -> Iterator[Path]:
    """A scratch directory beside `directory` that takes its place when the block succeeds.

    An earlier output is replaced; what is not one (it holds other names than `own_names`) is
    refused with a UserError before any work is done. On an error or an interruption the scratch
    directory is removed and an earlier output stays as it was.
    """
    _refuse_foreign(directory, own_names)
    directory.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{directory.name}.", dir=directory.parent))
    try:
        yield scratch
        _put_in_place(scratch, directory)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


@contextmanager
def staged_file(path: str | Path) -> Iterator[TextIO]:
    """A text file beside `path` that takes its place when the block succeeds.

    On an error or an interruption it is removed and an earlier file stays as it was. Raises
    UserError if the folder is not there, OSError if the file cannot be written.
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise UserError(
            f"output file {path}",
            expected="a folder that exists",
            got=f"no folder {path.parent}",
            change="make the folder, or choose another file",
        )
    part = path.with_name(path.name + ".part")
    try:
        with part.open("w", encoding="utf-8") as file:
            yield file
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def _refuse_foreign(directory: Path, own_names: frozenset[str]) -> None:
    if not directory.exists() and not directory.is_symlink():
        return
    names = {entry.name for entry in directory.iterdir()} if directory.is_dir() else {"a file"}
    foreign = sorted(names - own_names)
    if foreign:
        raise UserError(
            f"output directory {directory}",
            expected="a new or empty directory, or an earlier output of this command",
            got=f"one that holds {', '.join(foreign[:5])}",
            change="choose another directory with -o",
        )


def _put_in_place(scratch: Path, directory: Path) -> None:
    scratch.chmod(0o755)
    if directory.exists():
        old = Path(tempfile.mkdtemp(prefix=f".{directory.name}.old.", dir=directory.parent))
        os.rename(directory, old / "output")
        os.rename(scratch, directory)
        shutil.rmtree(old, ignore_errors=True)
    else:
        os.rename(scratch, directory)
