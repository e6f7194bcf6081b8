"""A line on standard error that says where something is that takes long."""

from __future__ import annotations

import sys
import time


class LiveLine:
    """One line that is rewritten on a terminal; elsewhere a line every `every_s` seconds."""

    def __init__(self, every_s: float = 10.0) -> None:
        self._live, self._every_s = sys.stderr.isatty(), every_s
        self._last, self._width = 0.0, 0

    def __call__(self, text: str, final: bool = False) -> None:
        """Show `text`; a `final` line stays."""
        now = time.perf_counter()
        pause = 0.1 if self._live else self._every_s
        if not final and now - self._last < pause:
            return
        self._last = now
        if self._live:
            self._write(f"\r{text:<{self._width}}" + "\n" * final)
            self._width = 0 if final else len(text)
        else:
            self._write(f"{text}\n")

    def _write(self, text: str) -> None:
        sys.stderr.write(text)
        sys.stderr.flush()
