"""The least time of training steps on a roofline: stage after stage, arithmetic or memory."""

from __future__ import annotations

import pytest
from helpers.roofline_chip import chip_of
from hypothesis import given
from hypothesis import strategies as st
from weft.compiler.plan.work import StageWork
from weft.study.roofline import roofline

LAYER = StageWork(
    name="layer",
    dtype="float32",
    forward_macs=1_000,
    backward_macs=2_000,
    parameter_bytes=400,
    trainable_bytes=400,
    forward_bytes=60,
    backward_bytes=60,
    saved_bytes=20,
)


def test_a_step_by_hand():
    """Batch 2, momentum: forward 2 x 1000 / 10 = 200 s (memory (400 + 120) / 100 = 5.2 s),
    backward 400 s, update 5 x 400 / 100 = 20 s."""
    report = roofline([LAYER], chip_of(), batch=2, optimizer_states=1)
    assert report.step_s == pytest.approx(620)
    assert report.latency_s == pytest.approx(100)
    assert report.throughput_samples_per_s == pytest.approx(2 / 620)
    assert report.utilisation == pytest.approx(600 / 620)
    assert report.memory_bytes == 400 + 400 + 400 + 2 * 20
    assert report.bound_by == "compute"
    assert not report.fits


@given(
    rate=st.floats(0.1, 1e6),
    bandwidth=st.floats(0.1, 1e6),
    factor=st.floats(1, 100),
    batch=st.integers(1, 64),
)
def test_a_better_chip_is_never_slower_and_no_chip_beats_its_peak(rate, bandwidth, factor, batch):
    plain = roofline([LAYER], chip_of(rate, bandwidth), batch, 1)
    assert roofline([LAYER], chip_of(rate * factor, bandwidth), batch, 1).step_s <= plain.step_s
    assert roofline([LAYER], chip_of(rate, bandwidth * factor), batch, 1).step_s <= plain.step_s
    assert plain.utilisation <= 1 + 1e-9
