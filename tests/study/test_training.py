"""Measured training runs, simulated from the model's own class: compile, place, run."""

from __future__ import annotations

import pytest
from weft.compiler.targets import load_target
from weft.study.training import streaming_bound


def test_streaming_is_bound_by_its_weights():
    """10 GB in 16 bit, twice per batch of 4 at 150 GB/s."""
    wafer = load_target("wse2")
    assert streaming_bound(wafer, 10 * 10**9, 4) == pytest.approx(4 * 150 / 20)
