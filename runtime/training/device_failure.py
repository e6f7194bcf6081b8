"""A device that runs out of memory or goes away while it trains, told to the user."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ...backend.errors import DeviceError
from ..checkpoint import newest_whole

_STATUS = re.compile(
    r"\b(RESOURCE_EXHAUSTED|INTERNAL|UNAVAILABLE|ABORTED|DATA_LOSS|DEADLINE_EXCEEDED):"
)
"""How PJRT's errors begin that are not about the program, in the text of both libraries' errors."""


@contextmanager
def device_failures(executor: str, directory: Path | None, start: Path | None) -> Iterator[None]:
    """Raises DeviceError for what is the device's failure; any other error passes.

    `directory` is where the run writes its checkpoints, `start` the one that it began with.
    """
    try:
        yield
    except RuntimeError as error:
        status = _STATUS.search(str(error))
        if status is None:
            raise
        newest = None if directory is None else newest_whole(directory)
        raise _device_error(executor, status[1], str(error), newest or start) from error


def _device_error(executor: str, status: str, message: str, newest: Path | None) -> DeviceError:
    is_memory = status == "RESOURCE_EXHAUSTED"
    relief = "take a device with more memory (--device), a coarser pipeline or a smaller model"
    kept = "nothing is kept: train with --checkpoint"
    if newest is not None:
        kept = f"nothing before {newest} is lost: go on with --resume {newest}"
    return DeviceError(
        f"executor {executor}, its device",
        expected="memory for the whole pipeline" if is_memory else "a device that goes on working",
        got=message.strip().splitlines()[0][:300],
        change=f"{relief}; {kept}" if is_memory else kept,
    )
