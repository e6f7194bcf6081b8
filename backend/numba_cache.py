"""What numba compiled before, loaded without all that it takes to compile."""

from __future__ import annotations

from typing import Any

from numba.core.caching import FunctionCache
from numba.core.runtime.nrt import rtsys


class LoadedFirst(FunctionCache):
    """Looks into the cache before it sets up all that numba can compile, which takes three times as
    long as to load a function. Where the cache lacks one, compiling sets up the same."""

    makes_arrays = True

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        if self.makes_arrays:
            rtsys.initialize(target_context)
        with self._guard_against_spurious_io_errors():
            return self._load_overload(sig, target_context)


_OF_NUMBA = "_load_overload", "_guard_against_spurious_io_errors"


def loaded_first(function: Any) -> Any:
    """`function`, made by `numba.njit(cache=True)`, which looks into its cache first; as it is with
    a numba whose caches are made otherwise."""
    if not all(hasattr(FunctionCache, name) for name in _OF_NUMBA):
        return function
    cache = LoadedFirst(function.py_func)
    cache.makes_arrays = function.targetoptions.get("_nrt", True)
    function._cache = cache
    return function
