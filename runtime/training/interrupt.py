"""Ctrl-C and termination as a request: the chunk at hand is finished first."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupted(KeyboardInterrupt):
    """Training was asked to stop, and wrote `checkpoint` first."""

    def __init__(self, checkpoint: Path) -> None:
        self.checkpoint = checkpoint
        super().__init__(f"interrupted; go on with --resume {checkpoint}")


@dataclass
class StopRequest:
    """Whether someone asked to stop."""

    is_made: bool = False


@contextmanager
def stop_request(enabled: bool) -> Iterator[StopRequest]:
    """While open, the first SIGINT or SIGTERM makes the request; a second one acts as always.

    Only the main thread can do that; in others, and if not `enabled`, signals act as always.
    """
    request = StopRequest()
    if not enabled or threading.current_thread() is not threading.main_thread():
        yield request
        return
    before = {number: signal.getsignal(number) or signal.SIG_DFL for number in _SIGNALS}

    def ask(number: int, frame: FrameType | None) -> None:
        request.is_made = True
        signal.signal(number, before[signal.Signals(number)])

    for number in _SIGNALS:
        signal.signal(number, ask)
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
