"""Products on a folded ring and by multicast (SUMMA): what their steps consist of."""

from __future__ import annotations

import pytest
from weft.compiler.machine.exchange import message, overlapped_cycles
from weft.compiler.machine.instruction import written_cycles
from weft.compiler.machine.ring import ring_cycles, skew_cycles
from weft.compiler.targets import load_target

WSE2, WSE3 = load_target("wse2"), load_target("wse3")


def test_a_ring_step_by_step():
    left, right, compute = message(WSE3, 128), message(WSE3, 96), 500.0
    expected = WSE3.noc.collective_start_cycles + written_cycles(WSE3)
    for _ in range(4):
        expected += float(skew_cycles(WSE3, left))
    for _ in range(8):
        expected += WSE3.software.step_cycles + float(overlapped_cycles(compute, left, right))
    assert float(ring_cycles(WSE3, 8, left, right, compute)) == pytest.approx(expected)
    kept = ring_cycles(WSE3, 8, left, right, compute, skew=False)
    assert float(kept) == pytest.approx(expected - 4 * float(skew_cycles(WSE3, left)))


def test_a_tile_of_one_element_moves_no_data():
    nothing = message(WSE3, 2)
    assert float(overlapped_cycles(7.0, nothing, nothing)) == 7
    assert float(skew_cycles(WSE3, nothing)) == WSE3.software.exchange_cycles
