"""Values of pure functions of one object, kept as long as the object is."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

T = TypeVar("T")
V = TypeVar("V")


def once_per_object(function: Callable[[T], V]) -> Callable[[T], V]:
    """`function`, which must depend on nothing but its argument, called once for each object.

    Objects are told apart by identity: they need no hash, and equal ones do not share a value.
    """
    found: dict[int, Any] = {}

    @wraps(function)
    def known(of: T) -> V:
        key = id(of)
        if key not in found:
            value = function(of)
            weakref.finalize(of, found.pop, key, None).atexit = False
            found[key] = value
        return found[key]

    return known
