"""What is kept of a run that is not finished: its folder, and the time it took so far."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class RunOutcome:
    """What a run gave: scores on the part it was asked for, None for a run that diverged."""

    samples: int
    accuracy: float | None
    loss: float | None
    seconds: float
    first_delay: int


@dataclass
class Clock:
    """Processor time of a run in seconds, over all processes that worked on it.

    It is kept in a file; `keep` is called now and then, and what a killed process had not kept is
    lost. It starts at the first call, after compiling.
    """

    path: Path
    _before: float = 0.0
    _began: float | None = field(default=None)

    def __post_init__(self) -> None:
        if self.path.exists():
            self._before = float(self.path.read_text("utf-8"))

    @property
    def seconds(self) -> float:
        """So far."""
        here = 0.0 if self._began is None else time.process_time() - self._began
        return self._before + here

    def keep(self) -> None:
        """Write it down."""
        if self._began is None:
            self._began = time.process_time()
        beside = self.path.with_suffix(".new")
        beside.write_text(f"{self.seconds:.3f}", encoding="utf-8")
        beside.replace(self.path)
