"""One run at a time in a directory: a lock that ends with the process, however that ends."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TextIO

from ...backend.errors import UserError

LOCK_FILE = ".lock"


@contextmanager
def locked(*directories: Path | None) -> Iterator[None]:
    """Keep other runs out of directories, which are made if they are not there.

    Raises UserError if another run holds one. Where a file system has no locks none is held.
    """
    own = {directory.resolve(): directory for directory in directories if directory is not None}
    with ExitStack() as held:
        for directory in own.values():
            held.enter_context(_locked(directory))
        yield


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    _made(directory)
    with (directory / LOCK_FILE).open("a+") as file:
        if not _lock(file):
            file.seek(0)
            raise _taken(directory, file.read().strip())
        yield


def _made(directory: Path) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise UserError(
            f"run directory {directory}",
            expected="a directory, or a path where one can be made",
            got=f"a file, {error.filename}",
            change="choose another directory",
        ) from error


def _lock(file: TextIO) -> bool:
    """Lock a file and write there who did; False if another process holds it."""
    with suppress(OSError):
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        os.truncate(file.fileno(), 0)
        os.write(file.fileno(), f"process {os.getpid()} on {os.uname().nodename}\n".encode())
    return True


def _taken(directory: Path, holder: str) -> UserError:
    return UserError(
        f"run directory {directory}",
        expected="a directory that no other run is writing to",
        got=f"one in use by {holder or 'another run'}",
        change="wait until that run has ended, or choose another directory",
    )
