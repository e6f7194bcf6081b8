"""The communication model against cycles of the vendor's fabric simulator."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from weft.compiler.kernels.contraction import Contraction, ProductPart, price
from weft.compiler.kernels.nonzeros import WeightTiles
from weft.compiler.kernels.roles import Roles
from weft.compiler.kernels.site import Site
from weft.compiler.machine import collectives
from weft.compiler.machine.product import ProductKind
from weft.compiler.machine.tilings import Tilings
from weft.compiler.targets import load_target
from weft.sim.fabric.product import FabricProduct
from weft.sim.fabric.product_cycles import product_cycles

WSE2 = load_target("wse2")
NOC = WSE2.noc
PES, WORDS = np.array([512]), np.array([4096])

# 1-D f32 sums of 4096 words over 512 PEs (public SpMM repository, WSE-2 fabric simulator).
TWO_PHASE = {2: 10055, 4: 9421, 16: 8989, 32: 8973, 128: 9297}
CHAIN = 7218


def test_chain_is_within_two_percent():
    assert collectives.reduce_chain(NOC, WORDS, PES)[0] == pytest.approx(CHAIN, rel=0.02)


@pytest.mark.parametrize(("group_size", "measured"), TWO_PHASE.items())
def test_two_phase_is_within_two_percent(group_size, measured):
    modelled = collectives.reduce_two_phase(NOC, WORDS, PES, np.array([group_size]))[0]
    assert modelled == pytest.approx(measured, rel=0.02)


def test_reduce_takes_the_faster_form():
    few, many = np.array([1]), np.array([100_000])
    chain = collectives.reduce_chain
    assert collectives.reduce(NOC, many, PES)[0] == chain(NOC, many, PES)[0]
    assert collectives.reduce(NOC, few, PES)[0] < chain(NOC, few, PES)[0]


@pytest.mark.parametrize("words", [1, 7, 64, 4096])
def test_arithmetic_hides_a_part_of_a_reduction_but_not_its_last_word(words):
    count = np.array([words])
    one, all_words = (collectives.reduce(NOC, of, PES)[0] for of in (count // count, count))
    behind = collectives.reduce_behind(NOC, count, PES)[0]
    assert one <= behind <= all_words
    assert behind <= collectives.reduce_chain(NOC, count // count, PES)[0]


@pytest.mark.parametrize("groups", [1, 3, 8, 200])
def test_groups_that_are_asked_for_are_those_behind_arithmetic_too(groups):
    """What remains never takes less than the fastest form does, and one chain is a chain."""
    count = np.array([7])
    behind = collectives.reduce_behind(NOC, count, PES, groups=groups)[0]
    assert behind >= collectives.reduce_behind(NOC, count, PES)[0]
    assert behind <= collectives.reduce(NOC, count, PES, groups=groups)[0]
    if groups == 1 or groups >= PES[0]:
        assert behind == collectives.reduce_chain(NOC, count // count, PES)[0]


def test_nothing_to_send_and_nowhere_to_send_cost_nothing():
    zero, one = np.array([0]), np.array([1])
    for collective in (collectives.reduce, collectives.broadcast, collectives.reduce_behind):
        assert collective(NOC, WORDS, one)[0] == 0
        assert collective(NOC, zero, PES)[0] == 0
    for collective in (collectives.all_reduce, collectives.all_reduce_behind):
        assert collective(NOC, WORDS, one, one)[0] == 0
        assert collective(NOC, zero, PES, one)[0] == 0
    assert collectives.border(NOC, zero, one, PES)[0] == 0


def test_an_all_reduce_of_many_words_is_a_reduction_and_a_broadcast_started_once():
    both = collectives.reduce(NOC, WORDS, PES) + collectives.broadcast(NOC, WORDS, PES)
    one = np.array([1])
    found = collectives.all_reduce(NOC, WORDS, PES, one)
    assert found[0] == both[0] - NOC.collective_start_cycles


def busiest_link(moves: list[tuple[int, int, int]]) -> int:
    """Words on the busiest link of a column, one direction; a move is (from row, to row, words)."""
    load = Counter()
    for source, sink, words in moves:
        step = 1 if sink > source else -1
        for row in range(source, sink, step):
            load[row, step] += words
    return max(load.values())


@given(st.integers(2, 9), st.integers(1, 7), st.integers(1, 50))
def test_lines_that_share_links_take_as_long_as_the_busiest_link(slices, rows, words):
    """Blocks of `rows` one after the other; every row sums with the same row of all blocks."""
    up = [(s * rows + r, (s - 1) * rows + r, words) for s in range(1, slices) for r in range(rows)]
    down = [(above, below, words) for below, above, _ in up]
    links = busiest_link(up)
    assert links == busiest_link(down) == rows * words
    there_and_back = 2 * rows * NOC.hop_cycles
    (found,) = collectives.all_reduce(NOC, *map(one_of, (words, slices, rows)))
    waits = (2 * NOC.ramp_cycles + 1) * slices
    assert links + words + slices // 2 * there_and_back < found
    way = (slices - 1) * there_and_back
    assert found <= 2 * links + words + way + waits + NOC.collective_start_cycles
    behind = collectives.all_reduce_behind(NOC, *map(one_of, (words, slices, rows)))[0]
    assert busiest_link(down) + slices // 2 * there_and_back < behind <= found


@given(st.integers(2, 9), st.integers(1, 7), st.integers(1, 20), st.integers(1, 20))
def test_a_border_takes_as_long_as_the_busiest_link_and_every_way_twice(slices, rows, own, reach):
    """Each block holds `own` positions and reaches `reach` more on either side, each of which
    crosses a link once on its way to the furthest block; first up, then down."""
    moves = []
    for position in range(slices * own):
        ends = max(0, position - reach), min(slices * own - 1, position + reach)
        moves += [(position // own, end // own, 1) for end in ends if end // own != position // own]
    busiest, furthest = busiest_link(moves), max(abs(a - b) for a, b, _ in moves)
    (found,) = collectives.border(NOC, *map(one_of, (busiest, furthest, rows)))
    step = 2 * NOC.ramp_cycles + 1 + rows * NOC.hop_cycles
    assert found == 2 * busiest + 2 * furthest * step + NOC.collective_start_cycles


@given(st.integers(2, 9), st.integers(1, 7), st.integers(1, 20), st.integers(1, 20))
def test_borders_lengthen_a_product_by_their_exchange_and_their_words(slices, rows, own, reach):
    """Of one PE across nothing else moves along rows; sums and gradients of `rows` PEs down a
    column are as many more as the borders."""
    positions = slices * own
    plain = Contraction(WeightTiles(1, rows, 1), positions, positions, 0, "float32", 4)
    site = Site(WSE2, Tilings.in_blocks(*map(one_of, (rows, slices, 1))), Roles({}, {}), {}, {})
    beyond = min(2 * reach, positions - own)
    side = -(-beyond // 2)
    exchange = collectives.border(NOC, *map(one_of, (side, -(-side // own), rows)))[0]
    for kind in ProductKind:
        parts = (ProductPart(kind, p) for p in (replace(plain, halo=2 * reach), plain))
        whole, alone = (price(site, part) for part in parts)
        longer = (whole.network - alone.network)[0]
        assert 0 < longer <= exchange + 3 * beyond or whole.network[0] == 0
        assert kind is not ProductKind.FORWARD or longer >= exchange


def one_of(value: int):
    return np.array([value])


def test_words_round_up_to_the_link_width():
    assert collectives.words(NOC, 3, 2) == 2
    assert collectives.words(NOC, 3, 4) == 3


@pytest.mark.parametrize("lines", [16, 40, 64, 90, 128])
@pytest.mark.parametrize("words", [1, 4])
def test_lines_without_a_route_come_after_the_others(lines, words):
    """Of 96 routes a chain takes two: the fabric steps the lines 47 or 48 at a time."""
    column = FabricProduct(
        slices=lines, height=4, width=1, column_spacing=lines,
        loaded_words=0, row_words=0, column_words=0, multiply_cycles=0, sum_words=words,
    )  # fmt: skip
    stepped = product_cycles(column, WSE2)
    (found,) = collectives.reduce(NOC, *map(one_of, (words, 4, lines)))
    assert found == pytest.approx(stepped, rel=0.02)


@given(st.integers(1, 40), st.integers(2, 30), st.integers(1, 600))
def test_a_turn_of_lines_more_never_costs_less(words, pes, lines):
    """And hiding behind arithmetic never costs more than not to hide."""
    forms = (
        *(collectives.broadcast, collectives.reduce, collectives.reduce_behind),
        *(collectives.all_reduce, collectives.all_reduce_behind),
    )
    one, more = (
        [form(NOC, *map(one_of, (words, pes, count)))[0] for form in forms]
        for count in (lines, lines + 1)
    )
    assert all(a <= b for a, b in zip(one, more, strict=True))
    assert one[2] <= one[1]
    assert one[4] <= one[3]
    assert all(cycles >= lines * words for cycles in (*one[:2], *one[3:4]))


def test_a_number_is_summed_over_a_wafer_in_a_tenth_more_than_its_diameter():
    """600 x 595 PEs of a CS-1: "a cycle count only about 10% greater than the diameter of the
    system", by a program that sums in the middle (Rocki et al., arXiv:2010.03660)."""
    one, along, across = (np.array([size]) for size in (1, 595, 600))
    (found,) = collectives.AllReduce(1, one, along, across, one, np.array([0])).cycles(NOC)
    diameter = (594 + 599) * NOC.hop_cycles
    assert found == pytest.approx(1.1 * diameter, rel=0.02)


@given(st.integers(1, 12), st.integers(2, 300))
def test_a_star_takes_the_words_of_half_a_line_and_its_way(words, pes):
    """One PE of either half takes the words of all others of it, of which the last come from the
    end of the line; the sum of the other half comes one hop, and goes back over the longer half."""
    (found,) = collectives.all_reduce_star(NOC, *map(one_of, (words, pes)))
    half = (pes - 1) // 2
    wait, hop = 2 * NOC.ramp_cycles + NOC.relay_cycles, NOC.hop_cycles
    arrived = max(half * words, half * hop) + wait
    back = words + pes // 2 * hop + wait
    rest = found - NOC.collective_start_cycles - back - words
    assert arrived <= rest + wait + hop + NOC.issue_cycles
    assert rest <= arrived + max(words, hop) + wait + hop + 2 * NOC.issue_cycles


def test_numbers_are_summed_in_a_star_and_vectors_are_not():
    """`Star` is the best for one word in the paper; its contention is that of all words."""
    for pes in (64, 512):
        words, line = np.array([1, 64]), np.full(2, pes)
        tree = collectives.all_reduce_tree(NOC, words, line, collectives.tree_groups(NOC, line))
        few, many = collectives.all_reduce_star(NOC, words, line) - tree
        assert few < 0 < many
