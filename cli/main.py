"""The `weft` command: one verb from its first line to the end of the process."""

from __future__ import annotations

import atexit
import gc
import os
import sys
from contextlib import suppress

from .app import app_of
from .terminal.heartbeat import heartbeat

_COLLECT_AFTER = 200_000, 20, 100
"""Objects made, then collections of the next younger generation, before garbage is looked for:
importing torch makes 400,000 objects that stay, and Python's 700 is for programs with few."""


def main() -> None:
    """Entry point of the `weft` command."""
    gc.set_threshold(*_COLLECT_AFTER)
    verb = next((word for word in sys.argv[1:] if not word.startswith("-")), "")
    codes: list[int] = []
    atexit.register(_leave, codes)  # the first to be registered is the last to run
    try:
        with heartbeat(f"weft {verb}".rstrip()):
            app_of(*sys.argv[1:2])(prog_name="weft")
    except SystemExit as stop:
        codes.append(stop.code if isinstance(stop.code, int) else 0)
        raise


def _leave(codes: list[int]) -> None:
    """End at once with the code of a verb that came to its end: to take apart what torch made takes
    a second or more, in which nothing is said."""
    if codes:
        with suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(codes[0])


if __name__ == "__main__":
    sys.exit(main())
