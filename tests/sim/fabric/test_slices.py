"""What slices of the positions tell each other, stepped where the PEs lie."""

from __future__ import annotations

import numpy as np
import pytest
from weft.compiler.machine.collectives import all_reduce, all_reduce_middle, border
from weft.compiler.targets import load_target
from weft.sim.fabric import Port, run
from weft.sim.fabric.slices import (
    Border,
    Copies,
    border_cycles,
    border_region,
    copies_cycles,
    copies_region,
    middle_cycles,
    middle_region,
)

WSE2 = load_target("wse2")
START = WSE2.noc.collective_start_cycles


@pytest.mark.parametrize("size", [1, 2, 3])
def test_every_copy_ends_with_the_sum_of_its_own_line(size):
    copies = Copies(slices=7, spacing=3, words=5)
    values = np.random.default_rng(0).integers(-9, 9, (21, 1, 5)).astype(np.float32)
    result = run(copies_region(copies, range(3), size, WSE2), WSE2, values)
    assert not result.stuck
    for line in range(3):
        assert (result.memory[line::3] == values[line::3].sum(0)).all()


def test_all_lines_share_the_links_between_slices():
    """In a chain every line's words cross every border of slices once up and once down."""
    copies = Copies(slices=5, spacing=4, words=6)
    sent = run(copies_region(copies, range(4), 1, WSE2), WSE2).link_words[:, 0]
    borders = sent[3:-1:4, Port.SOUTH], sent[4::4, Port.NORTH]
    assert all((words == 4 * 6).all() for words in borders)


@pytest.mark.parametrize("words", [9, 40, 300])
@pytest.mark.parametrize(("slices", "spacing"), [(2, 16), (5, 8), (9, 4), (4, 1), (16, 16)])
def test_a_sum_takes_the_words_of_all_lines_and_the_way(slices, spacing, words):
    """Routers may lose a cycle with each turn of a link."""
    cycles = copies_cycles(Copies(slices, spacing, words), WSE2)
    sizes = (np.array([size]) for size in (words, slices, spacing))
    assert cycles == pytest.approx(all_reduce(WSE2.noc, *sizes)[0], rel=0.05, abs=spacing)


def test_arithmetic_hides_a_sum_but_not_its_way_back():
    copies, multiply = Copies(5, 2, 30), 4000
    alone, hidden = (copies_cycles(copies, WSE2, cycles) for cycles in (0, multiply))
    assert multiply + START + 2 * 30 < hidden < multiply + alone


@pytest.mark.parametrize(("own", "side"), [(100, 30), (30, 30), (12, 30)])
def test_borders_come_from_as_many_slices_as_they_span(own, side):
    """A whole slice passes on what came to it; the words that a border needs cross every link."""
    shape = Border(slices=9, spacing=3, own_words=own, side_words=side)
    result = run(border_region(shape, WSE2), WSE2)
    assert not result.stuck
    steps = -(-side // own)
    inner = result.link_words[3 * steps : -3 * steps, 0]
    assert (inner[2::3, Port.SOUTH] == side).all()
    assert (inner[::3, Port.NORTH] == side).all()


@pytest.mark.parametrize("spacing", [1, 2, 7, 30, 64])
@pytest.mark.parametrize(("own", "side"), [(300, 200), (40, 33), (12, 30)])
def test_a_border_takes_what_it_is_priced_at(own, side, spacing):
    """One way, then the other, on links that no other line uses."""
    cycles = border_cycles(Border(6, spacing, own, side), WSE2)
    sizes = (np.array([size]) for size in (side, -(-side // own), spacing))
    assert cycles == border(WSE2.noc, *sizes)[0]


@pytest.mark.parametrize("slices", [2, 3, 6, 7])
def test_a_sum_in_the_middle_comes_back_to_every_copy(slices):
    copies = Copies(slices, spacing=3, words=5)
    values = np.random.default_rng(0).integers(-9, 9, (3 * slices, 1, 5)).astype(np.float32)
    result = run(middle_region(copies, range(3), WSE2), WSE2, values)
    assert not result.stuck
    for line in range(3):
        assert (result.memory[line::3] == values[line::3].sum(0)).all()


@pytest.mark.parametrize("words", [1, 5, 9, 40])
@pytest.mark.parametrize(
    ("slices", "spacing"), [(2, 16), (3, 8), (16, 16), (23, 16), (35, 11), (25, 32), (9, 64)]
)
def test_a_sum_in_the_middle_takes_what_it_is_priced_at(slices, spacing, words):
    cycles = middle_cycles(Copies(slices, spacing, words), WSE2)
    sizes = (np.array([size]) for size in (words, slices, spacing))
    priced = all_reduce_middle(WSE2.noc, *sizes)[0]
    assert cycles == pytest.approx(priced, rel=0.05, abs=6)


@pytest.mark.parametrize("target", [WSE2, load_target("wse3")], ids=lambda target: target.name)
@pytest.mark.parametrize("words", [1, 2, 3, 9, 40])
@pytest.mark.parametrize("spacing", [2, 5, 32])
def test_between_two_slices_no_words_meet(spacing, words, target):
    sizes = (np.array([size]) for size in (words, 2, spacing))
    priced = all_reduce_middle(target.noc, *sizes)[0]
    assert middle_cycles(Copies(2, spacing, words), target) == priced


@pytest.mark.parametrize(("slices", "words"), [(5, 2), (5, 40), (17, 9)])
def test_lines_that_a_router_has_no_routes_for_sum_after_the_others(slices, words):
    """96 routes serve 32 lines of three routes each."""
    few, many = (copies_cycles(Copies(slices, lines, words), WSE2) for lines in (32, 64))
    priced = [
        all_reduce(WSE2.noc, *(np.array([size]) for size in (words, slices, lines)))[0]
        for lines in (32, 64)
    ]
    assert many > 1.5 * few
    assert [few, many] == pytest.approx(priced, rel=0.05, abs=2 * 64)


def test_nothing_to_exchange_takes_no_time():
    assert border_cycles(Border(1, 4, 10, 10), WSE2) == 0
    assert border_cycles(Border(3, 4, 10, 0), WSE2) == 0
