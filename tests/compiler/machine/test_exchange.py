"""Exchanges with a neighbour, against the words that a link and a ramp pass."""

from __future__ import annotations

import numpy as np
import pytest
from weft.compiler.machine.exchange import (
    blocking_cycles,
    message,
    overlapped_cycles,
    shift_cycles,
)
from weft.compiler.targets import load_target

WSE3 = load_target("wse3")


def test_a_message_is_sent_in_whole_words_and_passes_in_whole_beats():
    """2 B elements, 4 B words, 8 B beats; the odd element stays at home."""
    sizes = [0, 2, 4, 8, 18, 20]
    messages = [message(WSE3, size) for size in sizes]
    assert [int(one.words) for one in messages] == [0, 0, 1, 2, 4, 5]
    assert [int(one.beats) for one in messages] == [0, 0, 1, 1, 2, 3]


@pytest.mark.parametrize("size", [4, 100, 1024])
def test_what_is_sent_and_then_taken_passes_the_ramp_a_word_per_cycle(size):
    """Blocking: first out, then in. No more words than one link passes at once."""
    words = size // 4
    passed = float(blocking_cycles(WSE3, message(WSE3, size))) - WSE3.software.exchange_cycles
    assert 2 * words <= passed <= 2 * words + 2


@pytest.mark.parametrize("compute", [0, 50, 5000])
def test_an_exchange_beside_arithmetic_is_bound_by_link_or_datapath(compute):
    """Two tiles of 40 and 100 words, out and in: 140 words in 70 beats each way."""
    left, right = message(WSE3, 160), message(WSE3, 400)
    found = float(overlapped_cycles(float(compute), left, right))
    assert found == max(compute + 2 * 70, 100 + 70)


def test_lateness_crosses_the_line_once():
    """A shift's last PE waits for all before it, but never for more than there are exchanges."""
    tile, pes = message(WSE3, 64), np.array([2, 16, 400])
    few, many = (shift_cycles(WSE3, tile, pes, np.array(n)) for n in (4, 1000))
    assert few[1] == few[2]  # four exchanges wait for four neighbours at most
    assert many[0] < many[1] < many[2]
    each = float(blocking_cycles(WSE3, tile))
    assert many[2] - shift_cycles(WSE3, tile, pes, np.array(999))[2] == pytest.approx(each)
