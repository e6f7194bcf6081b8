"""numba without scipy's linear algebra, for commands that compile no products."""

from __future__ import annotations

import sys
from contextlib import suppress
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType

_BLAS = "scipy.linalg.cython_blas"


def import_numba() -> None:
    """Import numba without `scipy.linalg`, which takes longer than all the rest of it.

    `numba.np.arraymath` imports that to see whether it is there, and numba once more for each
    product that it compiles: that import is the real one. For processes that are weft's
    own, before they import numba.
    """
    if "numba" in sys.modules or _BLAS in sys.modules or find_spec("scipy") is None:
        return
    sys.modules[_BLAS] = ModuleType(_BLAS)
    try:
        with suppress(ImportError):  # of a numba that looks elsewhere
            import_module("numba.np.arraymath")
    finally:
        del sys.modules[_BLAS]
