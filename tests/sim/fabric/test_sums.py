"""Sums over rectangles of PEs, stepped: what they add up, and the formula that they check."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from weft.compiler.machine.collectives import AllReduce
from weft.compiler.targets import load_target
from weft.sim.fabric import run
from weft.sim.fabric.sums import Sum, sum_cycles, sum_region

TARGETS = WSE2, WSE3 = load_target("wse2"), load_target("wse3")
SUMS = [
    *(Sum(1, 8, 2), Sum(8, 8, 8), Sum(40, 12, 1), Sum(5, 1, 30), Sum(100, 16, 16)),
    *(Sum(1, 40, 1), Sum(2, 7, 61), Sum(1, 90, 3), Sum(3, 1, 25), Sum(6, 34, 40)),
]
GROUPED = [
    *(Sum(1, 40, 1, groups=1), Sum(1, 40, 1, groups=5), Sum(6, 7, 9, groups=20)),
    *(Sum(3, 5, 16, groups=4), Sum(30, 1, 2, groups=2)),
]
SPACED = [Sum(4, 12, 5, spacing=3), Sum(30, 1, 6, spacing=8), Sum(1, 20, 4, spacing=5)]
# To the middle slice: lines whose words met in an order that the price did not know.
MIDDLE = [
    *(Sum(30, 1, 6, spacing=8, groups=3), Sum(30, 1, 4, spacing=6, groups=2)),
    *(Sum(10, 1, 6, spacing=10, groups=2), Sum(1, 1, 2, spacing=12, groups=2)),
    *(Sum(60, 1, 8, spacing=11), Sum(60, 1, 9, spacing=12), Sum(60, 1, 4, spacing=7)),
    *(Sum(4, 1, 3, spacing=7), Sum(1, 1, 3, spacing=32), Sum(16, 1, 4, spacing=3)),
    *(Sum(3, 1, 2, spacing=11), Sum(4, 1, 5, spacing=12), Sum(9, 1, 3, spacing=4)),
]


@pytest.mark.parametrize("of", [*SUMS, *GROUPED])
def test_every_pe_ends_with_the_sum_over_all(of):
    region = sum_region(of, WSE2)
    values = np.random.default_rng(of.along).integers(
        -9, 9, (region.height, region.width, of.words)
    )
    result = run(region, WSE2, values.astype(np.float32))
    assert not result.stuck
    assert (result.memory == values.sum((0, 1))).all()


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
@pytest.mark.parametrize(
    "of",
    [*SUMS, *GROUPED, *SPACED, *(replace(of, groups=3) for of in SPACED[::2]), *MIDDLE],
)
def test_the_formula_agrees(of, target):
    sizes = (of.words, of.along, of.across, of.spacing, of.groups)
    formula = AllReduce(1, *(np.array([size]) for size in sizes)).cycles(target.noc)[0]
    assert sum_cycles(of, target) == pytest.approx(formula, rel=0.05, abs=6)


def test_one_pe_has_nothing_to_add():
    assert sum_cycles(Sum(3, 1, 1), WSE2) == 0
