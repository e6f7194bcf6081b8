"""Peak arithmetic: what a target's constants add up to, against what the vendor prints."""

from __future__ import annotations

import pytest
from weft.compiler.targets import (
    check_target,
    known_rooflines,
    known_targets,
    load_machine,
    load_target,
)
from weft.compiler.targets.arithmetic import peak_flops, sram_bytes_per_s


@pytest.mark.parametrize("name", [*known_targets(), *known_rooflines()])
def test_arithmetic_meets_every_advertised_figure(name):
    assert all(row.passed for row in check_target(load_machine(name)))


def test_a_wrong_constant_fails_the_arithmetic():
    target = load_target("wse2", {"sram.bytes_per_pe": "65536"})
    failed = [row.quantity for row in check_target(target) if not row.passed]
    assert failed == ["sram_bytes"]


def test_published_peaks_of_the_wafers():
    wse2, wse3 = load_target("wse2"), load_target("wse3")
    assert peak_flops(wse2, "float16", 1.1e9) == pytest.approx(7.48e15)
    assert peak_flops(wse3, "float16", 1.1e9) == pytest.approx(15.84e15)
    # 20 PB/s / 850k cores / 24 bytes per cycle = 0.98 GHz
    assert sram_bytes_per_s(wse2, 0.98e9) == pytest.approx(20e15, rel=0.001)
    assert wse2.pes == 745_500
    assert wse3.pes == 883_350


def test_the_clock_of_wse3_is_that_of_its_counter():
    """1,037,474 cycles in 1,382.9 us; the vendor's figures for the wafer bound it from above."""
    wse3 = load_target("wse3")
    assert wse3.clock_hz == pytest.approx(1_037_474 / 1382.9e-6, rel=0.001)
    assert wse3.ranges["clock_hz"] == (wse3.clock_hz, wse3.clock_max_hz)
    assert 2 * wse3.wafer_link.latency_s == pytest.approx(171e-6)


def test_the_sustained_rate_of_wse3_is_that_of_its_ports():
    """A group of 8 halves reads two vectors of 16 B and writes one."""
    wse3 = load_target("wse3")
    rate = wse3.arithmetic("float16")
    group_bytes = 2 * rate.macs_per_cycle
    reads = 2 * group_bytes / wse3.sram.read_bytes_per_cycle
    writes = group_bytes / wse3.sram.write_bytes_per_cycle
    assert rate.sustained_fraction == 1 / max(reads, writes)
