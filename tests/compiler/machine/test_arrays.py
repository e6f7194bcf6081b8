"""Whole numbers rounded up, one for each tiling."""

from __future__ import annotations

from math import ceil

import numpy as np
from weft.compiler.machine.arrays import ceil_div


def test_division_rounds_up() -> None:
    found = ceil_div(np.arange(20), np.full(20, 7))
    assert found.tolist() == [ceil(n / 7) for n in range(20)]
    assert int(ceil_div(2**60 + 1, 2)) == 2**59 + 1  # beyond what a float holds
