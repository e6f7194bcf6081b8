"""A disk that is full or fails while a run writes to it, told to the user."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ...backend.errors import UserError
from ..checkpoint import newest_whole

_OF_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS}


@contextmanager
def disk_failures(directory: Path | None, start: Path | None) -> Iterator[None]:
    """Raises UserError for what is the disk's failure; any other error passes.

    `directory` is where the run writes its checkpoints, `start` the one that it began with.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in _OF_DISK:
            raise
        newest = (None if directory is None else newest_whole(directory)) or start
        kept = "no checkpoint is whole: train from the start"
        if newest is not None:
            kept = f"go on from the last whole checkpoint: --resume {newest}"
        raise UserError(
            f"file {error.filename or directory}",
            expected="room on its disk",
            got=(error.strerror or str(error)).lower(),
            change=f"make room, then {kept}",
        ) from error
