"""Shape curves as arrays: `curve[w]` is the least height at width w, or `NONE`.

A curve never grows. The same curve by height is its inverse: `turned[h]` is the least width at
height h. Numbers have 16 bits, so that sixteen lie in one vector register; wafers have up to
8,000 rows or columns.
"""

from __future__ import annotations

import numpy as np
from numba import njit

NONE = 16000
"""No shape: larger than any wafer, and twice it still has 16 bits."""


@njit(cache=True, nogil=True)
def add(first, second, limit, into):
    """The curve of two parts side by side (or stacked), nothing above `limit`."""
    for i in range(into.shape[0]):
        value = first[i] + second[i]
        into[i] = value if value <= limit else NONE


@njit(cache=True, nogil=True)
def invert(curve, into):
    """`into[x]` becomes the least i with `curve[i] <= x`, or `NONE`."""
    lowest = into.shape[0]
    for i in range(1, curve.shape[0]):
        value = curve[i]
        if value < lowest:
            for x in range(value, lowest):
                into[x] = i
            lowest = value
            if lowest <= 0:
                return
    for x in range(lowest):
        into[x] = NONE


@njit(cache=True, nogil=True)
def least_index(curve, limit):
    """The least i with `curve[i] <= limit`; the last one if there is none."""
    low, high = 0, curve.shape[0] - 1
    while low < high:
        middle = (low + high) // 2
        if curve[middle] <= limit:
            high = middle
        else:
            low = middle + 1
    return low


def curve_of(widths: np.ndarray, heights: np.ndarray, last_width: int) -> np.ndarray:
    """The least height for each width 0 to `last_width`, of shapes given one by one.

    Shapes wider than `last_width` are left out.
    """
    curve = np.full(last_width + 1, NONE, np.int64)
    inside = widths <= last_width
    np.minimum.at(curve, widths[inside], np.minimum(heights[inside], NONE))
    return np.minimum.accumulate(curve).astype(np.int16)
