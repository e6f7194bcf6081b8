"""Lower bounds hold for every time limit, not for a choice of them."""

from __future__ import annotations

from pathlib import Path

import pytest
from weft.compiler.place.contest import read_instance
from weft.compiler.place.contest.sizes import KernelSizes
from weft.compiler.place.contest.sizing import critical_times

from .instances import written


@pytest.mark.parametrize("wire", [0, 1, 30, 1000])
def test_the_least_total_is_that_of_all_limits_one_by_one(tmp_path: Path, wire: int) -> None:
    read = read_instance(written(tmp_path, wire=wire))
    sizes = KernelSizes(read)
    limits = critical_times(read.kernels, 40.0, 4000.0)
    all_ends = [read.time_weight * limit + sizes.least_wire(limit) for limit in limits]
    assert len(limits) > 20
    assert sizes.least_total(limits) == min(all_ends)
