"""Sums along one line of PEs: which form is stepped, and its routes."""

from __future__ import annotations

import numpy as np
import pytest
from weft.compiler.machine.collectives import broadcast, reduce
from weft.compiler.targets import load_target
from weft.sim.fabric.line_sums import groups_of_tree
from weft.sim.fabric.sums import Sum, sum_cycles

TARGETS = WSE2, WSE3 = load_target("wse2"), load_target("wse3")


@pytest.mark.parametrize("words", [1, 6])
@pytest.mark.parametrize("pes", [32, 40, 77])
def test_long_lines_with_few_words_are_summed_by_a_tree(pes, words):
    """Which beats a sum that runs to the first PE and comes back."""
    assert groups_of_tree(WSE2, pes, words) > 1
    line = Sum(words, pes, 1)
    one, back = np.array([words]), np.array([pes])
    there = reduce(WSE2.noc, one, back)[0] + broadcast(WSE2.noc, one, back)[0]
    assert sum_cycles(line, WSE2) < there - WSE2.noc.collective_start_cycles
