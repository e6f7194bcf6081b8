"""What two regions of a stage hand over to each other: as the fabric steps it."""

from __future__ import annotations

import numpy as np
import pytest
from weft.compiler.machine.hand_over import hand_over_cycles
from weft.compiler.machine.tilings import Tilings
from weft.compiler.plan.stage_record import Tiling
from weft.compiler.targets import load_target
from weft.sim.fabric import hand_over as fabric

WSE2 = load_target("wse2")


@pytest.mark.parametrize("line", [1, 2, 5, 16, 64])
@pytest.mark.parametrize("size_bytes", [1, 4, 88, 402])
@pytest.mark.parametrize("is_tall", [False, True])
def test_the_price_is_what_the_fabric_takes(line: int, size_bytes: int, is_tall: bool) -> None:
    tiling = Tiling(80, 1, line) if is_tall else Tiling(line, 1, 80)
    price = hand_over_cycles(np.array([size_bytes]), Tilings.of(tiling), WSE2.noc)
    words = -(-size_bytes // WSE2.noc.link_bytes_per_cycle)
    assert price == [fabric.hand_over_cycles(fabric.HandOver(line, words), WSE2)]


def test_the_link_at_the_border_is_a_bound() -> None:
    """All words of a line pass it."""
    sizes = np.array([0, 4, 40, 400])
    one = [field for name, field in vars(Tilings.of(Tiling(30, 1, 9))).items() if name[0] != "_"]
    tilings = Tilings(*(np.repeat(column, len(sizes)) for column in one))
    price = hand_over_cycles(sizes, tilings, WSE2.noc)
    assert price[0] == 0
    assert (price >= 9 * sizes / WSE2.noc.link_bytes_per_cycle).all()
