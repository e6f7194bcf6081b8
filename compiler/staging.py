"""Output directories that appear complete or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..backend.errors import UserError


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
