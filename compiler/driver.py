"""What a pass is, and the driver that runs one.

A pass is a frozen dataclass: its fields are its options, its call takes artefacts and returns the
next one, its docstring says what it does and shows before and after. What an artefact must satisfy
stands in artefacts.py and is verified after every pass, in production too.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ParamSpec, Protocol, TypeVar

from ..backend.errors import BrokenInvariantError
from .artefacts import violations

P = ParamSpec("P")
After = TypeVar("After", covariant=True)


class Pass(Protocol[P, After]):
    """Artefacts in, the next artefact out."""

    def __call__(self, *before: P.args, **named: P.kwargs) -> After: ...


def pass_name(kind: type) -> str:
    """The name a user types: that of the pass's file."""
    return kind.__module__.rpartition(".")[2]


@dataclass(frozen=True)
class PassRun:
    """One run of a pass: what it made, how long it took, what it held in memory.

    `resident_bytes` is by how much the process grew; `peak_bytes` is the most it ever held until
    the pass was done, both as the operating system counts them.
    """

    name: str
    artefact: Any
    seconds: float
    resident_bytes: int
    peak_bytes: int


class Ignore:
    """Tells nobody; prints as a word where `help` shows it as a default."""

    def __call__(self, _: object) -> None:
        """Do nothing."""

    def __repr__(self) -> str:
        return "ignore"


ignore = Ignore()


@dataclass(frozen=True)
class Driver:
    """Runs passes one by one: times each and verifies what it made.

    `on_begin` is told the name of each pass, `on_end` what came of it. Without `verifies` nothing
    is verified: for plans of a kind of which some are.
    """

    on_begin: Callable[[str], None] = ignore
    on_end: Callable[[PassRun], None] = ignore
    verifies: bool = True

    def __call__(self, step: Pass[P, After], *before: P.args, **named: P.kwargs) -> After:
        """The artefact `step` makes of `before`.

        Raises BrokenInvariantError, a defect of weft, if the artefact is not sound.
        """
        name = pass_name(type(step))
        self.on_begin(name)
        start, resident = time.perf_counter(), _resident_bytes()
        after = step(*before, **named)
        broken = tuple(violations(after)) if self.verifies else ()
        if broken:
            raise BrokenInvariantError(name, type(after).__name__, broken)
        seconds, grown = time.perf_counter() - start, _resident_bytes() - resident
        self.on_end(PassRun(name, after, seconds, grown, _peak_bytes()))
        return after


_STATM = Path("/proc/self/statm")


def _resident_bytes() -> int:
    """What the process holds in memory now; where the system does not say, its peak."""
    if not _STATM.exists():
        return _peak_bytes()
    return int(_STATM.read_text().split()[1]) * resource.getpagesize()


def _peak_bytes() -> int:
    """The most the process ever held: Linux counts in KiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
