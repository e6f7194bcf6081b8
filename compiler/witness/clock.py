"""A forward that reads the clock: what it says at the trace must not be part of a plan.

Times that are only written down (how long a layer takes) are no matter: a model that reads the
clock is run again at other times, and must give the same. A file that is imported reads it once for
all calls: another call would not run it again.
"""

from __future__ import annotations

import datetime
import random
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor

from ...backend.errors import UnsupportedError
from ..capture.kept.places import places
from ..capture.sample import OneSample, Sample
from ..capture.source_lines import is_running, portable
from .second_call import are_same, results_again, results_of
from .step import WitnessStep

_SECONDS = ("time", "monotonic", "perf_counter", "process_time", "thread_time")
_FUNCTIONS = (*_SECONDS, *(f"{name}_ns" for name in _SECONDS))
_TIMES = 8
"""Runs at other times: what a clock's parity decides is the same in one of two."""
_YEARS = 10**18, 2 * 10**18
"""Nanoseconds since 1970, 2001 to 2033, between which another time is."""
_TICK_NS = 1_000_003
"""By how much another time moves on when it is read: what is compared does not depend on how fast
the model runs. [nanoseconds]"""


class Clock:
    """The functions and types of Python that say the time, for the model's own lines; `lines` are
    those that read one. Where `moment_ns` is set it is another time: nanoseconds since 1970."""

    def __init__(self) -> None:
        self.moment_ns: int | None = None
        self.lines: list[str] = []
        self._real = {name: getattr(time, name) for name in _FUNCTIONS}
        self._own: dict[int, Any] = {id(own): self._of(name) for name, own in self._real.items()}
        for kind in (datetime.datetime, datetime.date):
            self._own[id(kind)] = _dated(kind, self)

    @contextmanager
    def watching(self, sample: OneSample) -> Iterator[None]:
        """The model's functions find this clock, in the modules and under names of their own."""
        own = [p for p in places(sample, vars(sample).get("loss")) if not p.is_fixed]
        named = [(place, value) for place in own if id(value := place.get()) in self._own]
        with ExitStack() as stack:
            for name, value in self._real.items():
                stack.enter_context(patch.object(time, name, self._own[id(value)]))
            for kind in ("datetime", "date"):
                value = getattr(datetime, kind)
                stack.enter_context(patch.object(datetime, kind, self._own[id(value)]))
            try:
                for place, value in named:
                    place.set(self._own[id(value)])
                yield
            finally:
                for place, value in named:
                    place.set(value)

    def seconds(self) -> float:
        """Since 1970, at this time or at the other."""
        return self._real["time"]() if self.moment_ns is None else self._next_ns() / 1e9

    def _next_ns(self) -> int:
        self.moment_ns = (self.moment_ns or 0) + _TICK_NS
        return self.moment_ns

    def note(self, depth: int) -> bool:
        """Whether a line of the model asks, which is noted."""
        frame = sys._getframe(depth + 1)
        file = frame.f_code.co_filename
        if is_running(file) and not _is_imported(frame):
            self.lines.append(f"{portable(file)}:{frame.f_lineno}")
            return True
        return False

    def _of(self, name: str) -> Callable[..., Any]:
        real, is_count = self._real[name], name.endswith("_ns")

        def moved() -> int | float:
            if not self.note(1) or self.moment_ns is None:
                return real()
            return self._next_ns() if is_count else self._next_ns() / 1e9

        return moved


_HERE = str(Path(__file__).parent)
_IMPORT = "<frozen importlib._bootstrap>", "_find_and_load"


def _is_imported(frame: FrameType) -> bool:
    """Whether a frame is part of the first import of a file, in a call that the witness makes."""
    above: FrameType | None = frame
    while above is not None and not above.f_code.co_filename.startswith(_HERE):
        if (above.f_code.co_filename, above.f_code.co_name) == _IMPORT:
            return True
        above = above.f_back
    return False


def _dated(kind: Any, clock: Clock) -> Any:
    """A date or datetime whose present is the clock's."""

    class Kind(type(kind)):
        def __instancecheck__(self, value: object) -> bool:
            return isinstance(value, kind)

    def now(_: Any, *args: Any, **named: Any) -> Any:
        if not clock.note(1):
            return kind.now(*args, **named)
        return kind.fromtimestamp(clock.seconds(), *args, **named)

    def today(_: Any) -> Any:
        return kind.fromtimestamp(clock.seconds()) if clock.note(1) else kind.today()

    def utcnow(_: Any) -> Any:
        zone = datetime.UTC
        moment = kind.fromtimestamp(clock.seconds(), zone) if clock.note(1) else kind.now(zone)
        return moment.replace(tzinfo=None)

    members = {"today": classmethod(today)}
    if kind.__name__ == "datetime":
        members |= {"now": classmethod(now), "utcnow": classmethod(utcnow)}
    return Kind(kind.__name__, (kind,), members)


def check_clock(
    sample: OneSample,
    inputs: Sample,
    values: Mapping[str, Tensor],
    dtype: torch.dtype,
    clock: Clock,
    step: WitnessStep,
) -> None:
    """Raises UnsupportedError if a model that reads `clock` gives something else than `step` at
    another time."""
    draws = random.Random(0)
    for _ in range(_TIMES if clock.lines else 0):
        clock.moment_ns = draws.randrange(*_YEARS)
        with clock.watching(sample):
            again = results_again(sample, inputs, values, dtype)
        if not are_same(results_of(step), again):
            raise UnsupportedError(
                clock.lines[0],
                expected="the same result whenever it is called on the same numbers",
                got="the clock (time, datetime): eager torch computes with what it says at each"
                " call; the plan would keep the time of its trace",
                change="leave the time out of what is computed, or give it to the model as an input"
                " of each sample",
            )
