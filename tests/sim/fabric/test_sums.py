"""Sums over rectangles of PEs, stepped: what they add up, and the formula that they check."""

from __future__ import annotations

import numpy as np
import pytest
from weft.compiler.kernels.collectives import all_reduce_area
from weft.compiler.targets import load_target
from weft.sim.fabric import run
from weft.sim.fabric.sums import Sum, sum_cycles, sum_region

WSE2 = load_target("wse2")
SUMS = [Sum(1, 10, 8), Sum(8, 64, 8), Sum(40, 12, 16), Sum(5, 30, 1), Sum(100, 256, 16)]


@pytest.mark.parametrize("of", SUMS)
def test_every_pe_ends_with_the_sum_over_all(of):
    region = sum_region(of, WSE2)
    values = np.random.default_rng(of.pes).integers(-9, 9, (region.height, region.width, of.words))
    result = run(region, WSE2, values.astype(np.float32))
    assert not result.stuck
    assert (result.memory == values.sum((0, 1))).all()


@pytest.mark.parametrize("of", SUMS)
def test_the_formula_agrees(of):
    sizes = (np.array([size]) for size in (of.words, of.pes, of.width))
    formula = all_reduce_area(WSE2.noc, *sizes)[0]
    assert sum_cycles(of, WSE2) == pytest.approx(formula, rel=0.05, abs=6)


def test_one_pe_has_nothing_to_add():
    assert sum_cycles(Sum(3, 1, 8), WSE2) == 0
