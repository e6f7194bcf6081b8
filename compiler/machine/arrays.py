"""Arrays with one entry per tiling."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


def ceil_div(numerator: Ints | int, denominator: Ints | int) -> Ints:
    """Integer division, rounded up."""
    return -(-np.asarray(numerator) // np.asarray(denominator))
