"""Random numbers of Python and numpy: a trace keeps one of them as a constant."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import numpy as np

from ....backend.errors import UnsupportedError
from ..source_lines import running_line


@contextmanager
def without_python_draws(again: Callable[[], Any]) -> Iterator[None]:
    """Raises UnsupportedError if what runs inside draws from the generators of Python or numpy.

    They are afterwards as before. `again` runs the same once more, to find the line.
    """
    before = _states()
    try:
        yield
        after = _states()
    finally:
        _set(before)
    for name, one, other in zip(_NAMES, before, after, strict=True):
        if not _equal(one, other):
            raise UnsupportedError(
                _line_of_draw(again, before),
                expected="random numbers drawn by torch, which each sample draws anew",
                got=f"a number drawn by {name}: the plan would keep the one of this trace",
                change="draw it with torch: torch.rand(()) in the place of random.random()",
            )


_NAMES = ("Python's random", "numpy.random")


def _states() -> tuple[Any, Any]:
    return random.getstate(), np.random.get_state()


def _set(states: tuple[Any, Any]) -> None:
    random.setstate(states[0])
    np.random.set_state(states[1])


def _equal(one: Any, other: Any) -> bool:
    pairs = zip(one, other, strict=True)
    return all(np.array_equal(a, b) for a, b in pairs)


def _line_of_draw(again: Callable[[], Any], states: tuple[Any, Any]) -> str:
    """Where the first draw is made: the line whose call moves a generator on."""
    found: list[str] = []
    place = _place()

    def watch(frame: FrameType, event: str, called: Any) -> None:
        owner = getattr(called, "__self__", None)
        if found:
            return
        if (event == "c_call" and isinstance(owner, random.Random)) or _place() != place:
            found.append(running_line())

    sys.setprofile(watch)
    try:
        again()
    finally:
        sys.setprofile(None)
        _set(states)
    return found[0] if found else "the model's forward"


def _place() -> object:
    """How far numpy's generator is; its functions are not seen by a profile."""
    state: Any = np.random.get_state(legacy=False)
    return state["state"]["pos"], state["has_gauss"]
