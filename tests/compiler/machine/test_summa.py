"""C = A B on p x p PEs with row and column multicast (SUMMA), double-buffered."""

from __future__ import annotations

import numpy as np
import pytest
from weft.compiler.machine.instruction import group_cycles
from weft.compiler.machine.summa import has_squares, summa_cycles
from weft.compiler.targets import load_target

WSE2, WSE3 = load_target("wse2"), load_target("wse3")


P = np.array([100, 700])


def summa(m, k, n, pes=P):
    return summa_cycles(WSE3, pes, *(np.array(size) for size in (m, k, n)), "float16", 2)


def test_a_step_by_multicast_does_not_depend_on_how_many_pes_there_are():
    per_step = summa(6, 6, 6) / P
    assert per_step[1] == pytest.approx(per_step[0], rel=0.02)


@pytest.mark.parametrize("side", [16, 64, 96])
def test_the_turns_of_a_loop_do_not_hide_more_than_there_is(side):
    """A step lasts at least as long as its turns, its vector work with the words that arrive, and
    either operand's words on its link."""
    step = np.diff(summa(side, side, side))[0] / np.diff(P)[0]
    vector = side * side * -(-side // 8) * group_cycles(WSE3, "float16")
    words = side * side * 2 // 4
    assert step >= max(vector + 2 * words, words, side * side * WSE3.software.turn_cycles)


def test_squares_need_measured_constants():
    assert has_squares(WSE3)
    assert not has_squares(WSE2)
