"""A terminal is never silent for long: after some seconds without a word, the last line says how
long it has been."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

_AFTER_S, _EVERY_S = 1.5, 0.5


class Heartbeat:
    """Watches what is written to a terminal, and adds to its last line while nothing is.

    A line without an end ("  capture ...") goes on; else a new one begins with `label`.
    What is written next takes the place of what was added.
    """

    def __init__(self, terminal: TextIO, label: str) -> None:
        self._terminal, self._label = terminal, label
        self._lock = threading.RLock()
        self._last, self._open, self._added = time.monotonic(), "", 0

    def beat(self, now: float) -> None:
        """Show for how long there has been nothing, if it is long enough."""
        with self._lock:
            silent_s = now - self._last
            if silent_s < _AFTER_S:
                return
            line = self._open or f"  {self._label}"
            text = f"{line.removesuffix(' ...').rstrip()} ... {silent_s:.0f} s"
            self._added = max(self._added, len(text))
            self._terminal.write(f"\r{text}")
            self._terminal.flush()

    def write(self, stream: TextIO, text: str) -> int:
        """Write to a stream, of which the terminal is one, where the last word stood before."""
        with self._lock:
            if self._added:
                self._terminal.write(f"\r{'':{self._added}}\r{self._open}")
                self._terminal.flush()
                self._added = 0
            self._last = time.monotonic()
            if stream.isatty():
                self._open = (self._open + text).rpartition("\n")[2].rpartition("\r")[2]
            return stream.write(text)


class _Watched:
    """A stream whose writes go through the heartbeat."""

    def __init__(self, heartbeat: Heartbeat, stream: TextIO) -> None:
        self._heartbeat, self._stream = heartbeat, stream

    def write(self, text: str) -> int:
        return self._heartbeat.write(self._stream, text)

    def __getattr__(self, name: str) -> object:
        return getattr(self._stream, name)


@contextmanager
def heartbeat(label: str) -> Iterator[None]:
    """Watch standard output and error, if that is a terminal, until the block ends."""
    if not sys.stderr.isatty():
        yield
        return
    streams, ended = (sys.stdout, sys.stderr), threading.Event()
    own = Heartbeat(sys.stderr, label)

    def run() -> None:
        while not ended.wait(_EVERY_S):
            own.beat(time.monotonic())

    sys.stdout, sys.stderr = (_Watched(own, stream) for stream in streams)  # type: ignore[assignment]
    threading.Thread(target=run, daemon=True).start()
    try:
        yield
    finally:
        ended.set()
        sys.stderr.write("")
        sys.stdout, sys.stderr = streams
