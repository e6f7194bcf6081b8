"""The report for a stage no tiling of which fits a PE's memory, with each lever tried out."""

from __future__ import annotations

import pytest
from helpers.small_mesh import EMPTY, kernels
from weft.backend.errors import InfeasibleError
from weft.compiler.place import place


def test_too_many_stages_are_a_report():
    with pytest.raises(InfeasibleError) as caught:
        place(EMPTY, kernels([[(4, 4, 1)]] * 2, 4, 4))
    assert "demand 32 PEs, bound 16, gap 16" in caught.value.report
    assert "target wse2" in caught.value.report
