"""The communication model against cycles of the vendor's fabric simulator."""

from __future__ import annotations

import numpy as np
import pytest
from weft.compiler.kernels import collectives
from weft.compiler.targets import load_target

NOC = load_target("wse2").noc
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


def test_nothing_to_send_and_nowhere_to_send_cost_nothing():
    zero, one = np.array([0]), np.array([1])
    for collective in (
        *(collectives.reduce, collectives.broadcast, collectives.all_reduce),
        *(collectives.reduce_behind, collectives.all_reduce_behind),
    ):
        assert collective(NOC, WORDS, one)[0] == 0
        assert collective(NOC, zero, PES)[0] == 0


def test_words_round_up_to_the_link_width():
    assert collectives.words(NOC, 3, 2) == 2
    assert collectives.words(NOC, 3, 4) == 3
