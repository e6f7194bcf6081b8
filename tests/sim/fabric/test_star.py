"""Sums in which nobody hands on, stepped: what they add up, and the formula that they check."""

from __future__ import annotations

import numpy as np
import pytest
from weft.backend.errors import UserError
from weft.compiler.machine.collectives import all_reduce_star
from weft.compiler.targets import load_target
from weft.sim.fabric import FabricRegion, Instruction, Port, run
from weft.sim.fabric.kernels import MessageCost
from weft.sim.fabric.star import add_star, add_to_centre

TARGETS = WSE2, WSE3 = load_target("wse2"), load_target("wse3")


def star(pes: int, words: int, target, down: bool = False) -> FabricRegion:
    found = FabricRegion(pes if down else 1, 1 if down else pes, colours=3)
    line = [(i, 0) if down else (0, i) for i in range(pes)]
    start = MessageCost(round(target.noc.collective_start_cycles))
    towards, issue = Port.NORTH if down else Port.WEST, round(target.noc.issue_cycles)
    add_star(found, line, words, range(3), towards, start, issue)
    return found


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
@pytest.mark.parametrize("pes", [2, 4, 5, 8, 23, 64, 144])
@pytest.mark.parametrize("words", [1, 2, 5, 16])
def test_the_formula_agrees_to_the_cycle(target, pes, words):
    (formula,) = all_reduce_star(target.noc, np.array([words]), np.array([pes]))
    assert run(star(pes, words, target), target).cycles == pytest.approx(formula, abs=1)


@pytest.mark.parametrize("down", [False, True])
@pytest.mark.parametrize(("pes", "words"), [(2, 3), (3, 1), (9, 4), (30, 7)])
def test_every_pe_ends_with_the_sum_whatever_the_axis(pes, words, down):
    """Words keep their order on the way: each adds to its own place."""
    region = star(pes, words, WSE2, down)
    values = np.random.default_rng(pes).integers(-9, 9, (region.height, region.width, words))
    result = run(region, WSE2, values.astype(np.float32))
    assert not result.stuck
    assert (result.memory == values.sum((0, 1))).all()


def test_each_link_carries_the_words_of_all_behind_it_and_the_sum():
    """Counted one by one: PE k of a half passes on what those farther away have sent."""
    pes, words = 12, 3
    sent = run(star(pes, words, WSE2), WSE2).link_words[0]
    behind = [(pes - 1 - k) * words for k in range(pes // 2, pes - 1)]
    assert sent[pes // 2 + 1 :, Port.WEST].tolist() == [own + words for own in behind[1:]] + [words]
    assert sent[pes // 2 :, Port.EAST].tolist() == [words] * (pes // 2 - 1) + [0]
    assert sent[pes // 2 - 1, Port.EAST] == words


def test_a_core_that_sends_other_words_than_its_route_counts():
    """Its own would come between those of its neighbours, or these never."""
    for words in (2, 4):
        region = FabricRegion(1, 4, colours=1)
        line = [(0, column) for column in range(4)]
        add_to_centre(region, line, range(4), 3, 0, Port.WEST, MessageCost())
        region.switched(0, 2, 0, words, Port.EAST, [Port.WEST])
        with pytest.raises(UserError, match=r"(?s)row 0, column 2.*before its route switches"):
            run(region, WSE2)


@pytest.mark.parametrize(("words", "then"), [(0, Port.EAST), (2**30, Port.EAST), (3, Port.RAMP)])
def test_a_switch_that_cannot_be(words, then):
    region = FabricRegion(1, 3, colours=1)
    with pytest.raises(UserError, match="1 to 536,870,911 words from the core"):
        region.switched(0, 1, 0, words, then, [Port.WEST])


def test_words_of_a_star_that_nobody_takes_are_counted():
    region = FabricRegion(1, 5, colours=1)
    line = [(0, column) for column in range(5)]
    add_to_centre(region, line, range(5), 2, 0, Port.WEST, MessageCost())
    region.program(0, 4, Instruction.send(7, 0))
    with pytest.raises(UserError, match="7 words left over"):
        run(region, WSE2)
