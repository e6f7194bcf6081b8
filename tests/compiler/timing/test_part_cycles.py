"""Times of the parts of an item, rounded up to whole cycles."""

from __future__ import annotations

from math import ceil
from types import SimpleNamespace as Made
from typing import Any

from weft.compiler.timing.part_cycles import part_cycles


def test_the_parts_of_an_item_have_their_share_of_its_cycles() -> None:
    channel = Made(producer=0, consumer=1, phase="forward", parts=4, window=3, work_cycles=10)
    units = [Made(cycles={"forward": 101}), Made(cycles={"forward": 7})]
    wiring: Any = Made(channels=[channel], units=units)
    found = part_cycles(wiring)
    assert found.part_work.tolist() == [ceil(101 / 4)]
    assert found.window_work.tolist() == [ceil(3 * 101 / 4)]
    assert found.tail_work.tolist() == [ceil(7 / 4)]
    assert found.window_occupancy.tolist() == [ceil(3 * 10 / 4)]
    assert found.tail_occupancy.tolist() == [ceil(10 / 4)]
