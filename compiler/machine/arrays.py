"""Arrays with one entry per tiling."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from functools import lru_cache, wraps
from typing import ParamSpec

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

P = ParamSpec("P")
_REMEMBERED = 512
"""Results of a function, of a few ten kilobytes with its arguments: a network's, several times."""


def ceil_div(numerator: Ints | int, denominator: Ints | int) -> Ints:
    """Integer division, rounded up."""
    return -(-np.asarray(numerator) // np.asarray(denominator))


def remembered(function: Callable[P, Floats]) -> Callable[P, Floats]:
    """A pure function of arrays and of hashable values; its last results are found again by the
    contents of the arguments, and cannot be written to. Its attribute `forget` drops them."""

    @lru_cache(_REMEMBERED)
    def found(call: _Call) -> Floats:
        result = function(*call.arguments)  # type: ignore[reportCallIssue]
        result.setflags(write=False)
        return result

    @wraps(function)
    def looked_up(*arguments: P.args, **named: P.kwargs) -> Floats:
        return function(*arguments, **named) if named else found(_Call(arguments))

    looked_up.forget = found.cache_clear  # type: ignore[attr-defined]
    return looked_up


class _Call:
    """Arguments that are equal if their contents are."""

    def __init__(self, arguments: tuple[Hashable | NDArray[np.generic], ...]) -> None:
        self.arguments = arguments
        self._content = tuple(map(_content, arguments))
        self._hash = hash(self._content)

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Call) and self._content == other._content


def _content(argument: Hashable | NDArray[np.generic]) -> Hashable:
    if isinstance(argument, np.ndarray):
        return argument.dtype.char, argument.shape, argument.tobytes()
    return argument
