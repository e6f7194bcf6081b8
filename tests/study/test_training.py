"""Measured training runs, simulated from the model's own class: compile, place, run."""

from __future__ import annotations

import pytest
from weft.compiler.targets import load_target
from weft.sim.validation.tables import shipped_rows
from weft.study.training import most_samples_per_s, streaming_bound


def test_streaming_is_bound_by_its_weights():
    """10 GB in 16 bit, twice per batch of 4 at 150 GB/s."""
    wafer = load_target("wse2")
    assert streaming_bound(wafer, 10 * 10**9, 4) == pytest.approx(4 * 150 / 20)


def test_the_measured_training_rate_is_below_the_peak():
    """Three products for each of 303 M weights and token, on 745,500 PEs x 4 x 1.1 GHz."""
    (row,) = (r.row for r in shipped_rows("training") if r.row.columns["model"] == "bert-large")
    most = most_samples_per_s(load_target("wse2"), row)
    by_hand = 745_500 * 4 * 1.1e9 / (3 * 128 * 303e6)
    assert row.number("samples_per_s") < most
    assert most == pytest.approx(by_hand, rel=0.05)
